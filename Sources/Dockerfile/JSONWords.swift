internal import Core

/// The strings of an instruction's JSON form, or nil when `input` is no JSON array: then it is shell form.
///
/// Throws a `Failure` for an array with anything else than strings, which is never shell form.
public func parseJSONWords(_ input: String) throws -> [String]? {
  do {
    return try LineParser.jsonWords(input.scalars)
  } catch let error as ParseError {
    throw Failure("", error.reason)
  }
}

extension LineParser {
  static func jsonWords(_ rest: Scalars) throws -> [String]? {
    let text = rest.drop(while: \.isBlank)
    guard text.first == "[", let (json, rest) = try? JSON.parseFirst(Array(String(scalars: text).utf8)),
      let values = json.array
    else { return nil }
    // `["a"] # remark` is exec form, as older builders read it; with other text behind it, it is shell form, as newer
    // ones.
    let behind = rest.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D && $0 != 0x0A }
    guard behind == nil || behind == UInt8(ascii: "#") else { return nil }
    return try values.map { value in
      guard let word = value.string else {
        throw ParseError("when using JSON array syntax, arrays must be comprised of strings only")
      }
      return word
    }
  }
}
