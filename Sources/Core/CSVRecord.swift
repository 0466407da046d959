/// One line of comma-separated values (RFC 4180), as flags take them: `type=bind,source=/a`.
public enum CSVRecord {
  /// Why a text is no such line.
  public struct Malformed: Error, Sendable, Equatable {
    public var reason: String
  }

  /// The fields of `text`: one in double quotes may hold commas, `""` in it is one quote.
  public static func fields(_ text: String) throws(Malformed) -> [String] {
    let unclosed = Malformed(reason: "extraneous or missing \" in quoted-field")
    var fields: [String] = []
    var field = String.UnicodeScalarView()
    var rest = Substring(text).unicodeScalars
    while true {
      if rest.first == "\"" {
        rest = rest.dropFirst()
        while true {
          guard let scalar = rest.popFirst() else { throw unclosed }
          if scalar != "\"" {
            field.append(scalar)
          } else if rest.first == "\"" {
            field.append(scalar)
            rest = rest.dropFirst()
          } else {
            break
          }
        }
        guard rest.isEmpty || rest.first == "," else { throw unclosed }
      } else {
        let plain = rest.prefix { $0 != "," }
        guard !plain.contains("\"") else { throw Malformed(reason: "bare \" in non-quoted-field") }
        field.append(contentsOf: plain)
        rest = rest[plain.endIndex...]
      }
      fields.append(String(field))
      field = String.UnicodeScalarView()
      guard rest.popFirst() != nil else { return fields }
    }
  }
}
