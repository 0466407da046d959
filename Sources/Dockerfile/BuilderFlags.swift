internal import Core

/// The flags of an instruction, `--name[=value]`, read against those that it knows.
struct BuilderFlags {
  enum Kind {
    /// `--link`, `--link=true`, `--link=false`.
    case bool
    /// `--from=x`, once.
    case string
    /// `--mount=x`, any number of times.
    case strings
  }

  private var values: [String: [String]] = [:]

  /// Reads `flags`; throws on one that is unknown, given twice, or has no fitting value.
  init(_ flags: [String], known: KeyValuePairs<String, Kind> = [:]) throws {
    for flag in flags where flag != "--" {
      let text = String(flag.dropFirst(2))
      let cut = text.cut("=")
      let name = cut?.before ?? text
      guard let kind = known.first(where: { $0.key == name })?.value else {
        throw ParseError("unknown flag: --\(name)" + didYouMean(name, in: known.map(\.key)))
      }
      if kind != .strings, values[name] != nil { throw ParseError("duplicate flag specified: --\(name)") }
      values[name, default: []].append(try BuilderFlags.value(cut?.after, of: name, kind))
    }
  }

  private static func value(_ value: String?, of name: String, _ kind: Kind) throws -> String {
    guard kind == .bool else {
      guard let value else { throw ParseError("missing a value on flag: --\(name)") }
      return value
    }
    guard let value else { return "true" }
    guard !value.isEmpty else { throw ParseError("missing a value on flag: --\(name)") }
    let lower = value.lowercased()
    guard lower == "true" || lower == "false" else {
      throw ParseError("expecting boolean value for flag --\(name), not: \(value)")
    }
    return lower
  }

  /// The value of a `string` flag; nil when not given or empty.
  func string(_ name: String) -> String? {
    values[name]?.last.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The value of a `bool` flag, nil when not given.
  func bool(_ name: String) -> Bool? { values[name]?.last.map { $0 == "true" } }

  /// All values of a flag, empty ones too.
  func strings(_ name: String) -> [String] { values[name] ?? [] }

  /// Takes the words that begin with `--` from the front of `line`, up to and without a `--` of its own. Quotes
  /// group, a backslash escapes; both are removed.
  static func extract(_ line: Scalars) -> (flags: [String], rest: Scalars) {
    var flags: [String] = []
    var at = line.startIndex
    while true {
      while at < line.endIndex, line[at].isBlank { at += 1 }
      guard line[at...].starts(with: "--".unicodeScalars) else { return (flags, line[at...]) }
      let word = flag(line, &at)
      if word == "--" { return (flags, line[at...]) }
      flags.append(word)
    }
  }

  private static func flag(_ line: Scalars, _ at: inout Int) -> String {
    var word: [Unicode.Scalar] = []
    var quote: Unicode.Scalar?
    while at < line.endIndex {
      let scalar = line[at]
      if quote == nil && scalar.isBlank { break }
      at += 1
      if scalar == "\\" {
        guard at < line.endIndex else { break }
        word.append(line[at])
        at += 1
      } else if scalar == quote {
        quote = nil
      } else if quote == nil && (scalar == "'" || scalar == "\"") {
        quote = scalar
      } else {
        word.append(scalar)
      }
    }
    return String(scalars: word)
  }
}
