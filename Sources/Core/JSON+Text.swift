extension JSON {
  /// Parses one JSON text; throws a `Failure` with the byte offset if it is malformed, nested deeper than
  /// `maximumDepth`, holds invalid UTF-8, or repeats a member.
  public static func parse(_ bytes: [UInt8], maximumDepth: Int = 64) throws -> JSON {
    var parser = Parser(bytes: bytes, maximumDepth: maximumDepth)
    let value = try parser.value(depth: 0)
    parser.skipBlanks()
    guard parser.at == bytes.count else { throw parser.failure("unexpected text after the value") }
    return value
  }

  /// Parses the JSON value that `bytes` begin with; returns it and the bytes behind it.
  public static func parseFirst(_ bytes: [UInt8], maximumDepth: Int = 64) throws -> (JSON, rest: ArraySlice<UInt8>) {
    var parser = Parser(bytes: bytes, maximumDepth: maximumDepth)
    let value = try parser.value(depth: 0)
    return (value, bytes[parser.at...])
  }

  /// As `parse(_:)` of the UTF-8 bytes.
  public static func parse(_ text: String) throws -> JSON { try parse(Array(text.utf8)) }

  /// Canonical bytes: sorted keys (by UTF-8), no blanks, only what must be escaped is escaped.
  public var bytes: [UInt8] {
    var out: [UInt8] = []
    write(to: &out, indent: nil, level: 0)
    return out
  }

  /// `bytes` as text.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// For people: sorted keys, one member a line, indented by `indent` blanks.
  public func pretty(indent: Int = 4) -> String {
    var out: [UInt8] = []
    write(to: &out, indent: indent, level: 0)
    return String(decoding: out, as: UTF8.self)
  }

  private func write(to out: inout [UInt8], indent: Int?, level: Int) {
    func newline(_ level: Int) {
      guard let indent else { return }
      out.append(UInt8(ascii: "\n"))
      out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * level))
    }
    switch self {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
    case .int(let value): out.append(contentsOf: String(value).utf8)
    case .number(let text): out.append(contentsOf: text.utf8)
    case .string(let text): JSON.write(text, to: &out)
    case .array(let values):
      out.append(UInt8(ascii: "["))
      for (i, value) in values.enumerated() {
        if i > 0 { out.append(UInt8(ascii: ",")) }
        newline(level + 1)
        value.write(to: &out, indent: indent, level: level + 1)
      }
      if !values.isEmpty { newline(level) }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      let keys = members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      for (i, key) in keys.enumerated() {
        if i > 0 { out.append(UInt8(ascii: ",")) }
        newline(level + 1)
        JSON.write(key, to: &out)
        out.append(UInt8(ascii: ":"))
        if indent != nil { out.append(UInt8(ascii: " ")) }
        // The keys are those of members.
        // swift-format-ignore: NeverForceUnwrap
        members[key]!.write(to: &out, indent: indent, level: level + 1)
      }
      if !members.isEmpty { newline(level) }
      out.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    for byte: UInt8 in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): out.append(contentsOf: "\\\"".utf8)
      case UInt8(ascii: "\\"): out.append(contentsOf: "\\\\".utf8)
      case 0x0A: out.append(contentsOf: "\\n".utf8)
      case 0x0D: out.append(contentsOf: "\\r".utf8)
      case 0x09: out.append(contentsOf: "\\t".utf8)
      case 0..<0x20, 0x7F:
        let digits: [UInt8] = Array("0123456789abcdef".utf8)
        out.append(contentsOf: "\\u00".utf8)
        out.append(digits[Int(byte >> 4)])
        out.append(digits[Int(byte & 15)])
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}

/// A recursive-descent parser whose depth is bounded.
private struct Parser {
  let bytes: [UInt8]
  let maximumDepth: Int
  var at = 0

  func failure(_ reason: String) -> Failure { Failure("parse JSON at byte \(at)", reason) }

  mutating func skipBlanks() {
    while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
  }

  mutating func value(depth: Int) throws -> JSON {
    guard depth < maximumDepth else { throw failure("nested more than \(maximumDepth) deep") }
    skipBlanks()
    guard at < bytes.count else { throw failure("unexpected end") }
    switch bytes[at] {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ text: String, _ value: JSON) throws -> JSON {
    guard bytes[at...].starts(with: text.utf8) else { throw failure("unexpected character") }
    at += text.utf8.count
    return value
  }

  private mutating func object(depth: Int) throws -> JSON {
    at += 1
    var members: [String: JSON] = [:]
    skipBlanks()
    if at < bytes.count, bytes[at] == UInt8(ascii: "}") {
      at += 1
      return .object(members)
    }
    while true {
      skipBlanks()
      guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw failure("expected a member name") }
      let key = try string()
      skipBlanks()
      guard at < bytes.count, bytes[at] == UInt8(ascii: ":") else { throw failure("expected ':'") }
      at += 1
      guard members.updateValue(try value(depth: depth + 1), forKey: key) == nil else {
        throw failure("member \"\(key)\" appears twice")
      }
      guard try comma(or: UInt8(ascii: "}")) else { return .object(members) }
    }
  }

  private mutating func array(depth: Int) throws -> JSON {
    at += 1
    var values: [JSON] = []
    skipBlanks()
    if at < bytes.count, bytes[at] == UInt8(ascii: "]") {
      at += 1
      return .array(values)
    }
    while true {
      values.append(try value(depth: depth + 1))
      guard try comma(or: UInt8(ascii: "]")) else { return .array(values) }
    }
  }

  /// True after a comma, false after the closing bracket.
  private mutating func comma(or close: UInt8) throws -> Bool {
    skipBlanks()
    guard at < bytes.count, bytes[at] == close || bytes[at] == UInt8(ascii: ",") else {
      throw failure("expected ',' or '\(Character(UnicodeScalar(close)))'")
    }
    defer { at += 1 }
    return bytes[at] != close
  }

  private mutating func number() throws -> JSON {
    let start = at
    var isInteger = true
    func digits() -> Bool { at < bytes.count && bytes[at] >= 48 && bytes[at] <= 57 }
    if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at += 1 }
    guard digits() else { throw failure("unexpected character") }
    if bytes[at] == 48 { at += 1 } else { while digits() { at += 1 } }
    if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
      isInteger = false
      at += 1
      guard digits() else { throw failure("malformed number") }
      while digits() { at += 1 }
    }
    if at < bytes.count, bytes[at] | 32 == UInt8(ascii: "e") {
      isInteger = false
      at += 1
      if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      guard digits() else { throw failure("malformed number") }
      while digits() { at += 1 }
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isInteger, let value = Int64(text) { return .int(value) }
    return .number(text)
  }

  private mutating func string() throws -> String {
    at += 1
    var out: [UInt8] = []
    while true {
      guard at < bytes.count else { throw failure("unterminated string") }
      let byte = bytes[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: out, as: UTF8.self) else { throw failure("string is not UTF-8") }
        return text
      case UInt8(ascii: "\\"): try escape(into: &out)
      case 0..<0x20: throw failure("control character in a string")
      default: out.append(byte)
      }
    }
  }

  private mutating func escape(into out: inout [UInt8]) throws {
    guard at < bytes.count else { throw failure("unterminated string") }
    let byte = bytes[at]
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "b"): out.append(8)
    case UInt8(ascii: "f"): out.append(12)
    case UInt8(ascii: "n"): out.append(10)
    case UInt8(ascii: "r"): out.append(13)
    case UInt8(ascii: "t"): out.append(9)
    case UInt8(ascii: "u"):
      var unit = try hex4()
      if (0xD800..<0xDC00).contains(unit), at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
        bytes[at + 1] == UInt8(ascii: "u")
      {
        let mark = at
        at += 2
        let low = try hex4()
        if (0xDC00..<0xE000).contains(low) {
          unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        } else {
          at = mark
        }
      }
      // A lone surrogate has no UTF-8 form: it becomes the replacement character, as in Go and browsers.
      let scalar = Unicode.Scalar(unit) ?? "\u{FFFD}"
      out.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("unknown escape")
    }
  }

  private mutating func hex4() throws -> UInt32 {
    guard at + 4 <= bytes.count else { throw failure("unterminated string") }
    var value: UInt32 = 0
    for byte in bytes[at..<(at + 4)] {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { throw failure("malformed \\u escape") }
      value = value << 4 | UInt32(digit)
    }
    at += 4
    return value
  }
}
