internal import Core

/// A word inside `{{ }}`.
enum TemplateToken: Equatable, Sendable {
  case identifier(String)
  /// `.Name`.
  case field(String)
  case dot
  /// `$` or `$name`, with its dollar sign.
  case variable(String)
  case string(String)
  case number(JSON)
  case symbol(String)
}

/// Cuts a template into text and actions, and an action into tokens.
struct TemplateLexer {
  /// Text, or the tokens of one action; a token knows whether a blank stands before it.
  enum Piece {
    case text(String)
    case action([(token: TemplateToken, isSpaced: Bool)])
  }

  private let source: [UInt8]
  private var at = 0

  init(_ text: String) throws {
    source = Array(text.utf8)
    guard source.count <= 65536 else { throw Template.failure("template is longer than 64 KiB") }
  }

  mutating func pieces() throws -> [Piece] {
    var out: [Piece] = []
    var trimNext = false
    while at < source.count {
      let start = at
      while at < source.count, !starts("{{") { at += 1 }
      var text = source[start..<at]
      let isAction = at < source.count
      let trimsLeft = isAction && starts("{{-") && at + 3 < source.count && isBlank(source[at + 3])
      if trimNext { text = text.drop(while: isBlank) }
      if trimsLeft { while let last = text.last, isBlank(last) { text.removeLast() } }
      if !text.isEmpty { out.append(.text(String(decoding: text, as: UTF8.self))) }
      guard isAction else { break }
      at += trimsLeft ? 3 : 2
      trimNext = false
      if try comment(&trimNext) { continue }
      out.append(.action(try action(&trimNext)))
    }
    return out
  }

  private mutating func comment(_ trimNext: inout Bool) throws -> Bool {
    var start = at
    while start < source.count, isBlank(source[start]) { start += 1 }
    guard start + 1 < source.count, source[start] == UInt8(ascii: "/"), source[start + 1] == UInt8(ascii: "*") else {
      return false
    }
    at = start + 2
    while at < source.count, !starts("*/") { at += 1 }
    guard at < source.count else { throw Template.failure("unclosed comment") }
    at += 2
    skipBlanks()
    if starts("-}}") {
      trimNext = true
      at += 1
    }
    guard starts("}}") else { throw Template.failure("comment ends before closing delimiter") }
    at += 2
    return true
  }

  private mutating func action(_ trimNext: inout Bool) throws -> [(token: TemplateToken, isSpaced: Bool)] {
    var out: [(token: TemplateToken, isSpaced: Bool)] = []
    while true {
      let before = at
      skipBlanks()
      let isSpaced = at > before
      guard at < source.count else { throw Template.failure("unclosed action") }
      if isSpaced, starts("-}}") {
        at += 3
        trimNext = true
        return out
      }
      if starts("}}") {
        at += 2
        return out
      }
      out.append((try token(), isSpaced))
    }
  }

  private mutating func token() throws -> TemplateToken {
    let byte = source[at]
    switch byte {
    case UInt8(ascii: "\""): return .string(try quoted())
    case UInt8(ascii: "`"): return .string(try raw())
    case UInt8(ascii: "."):
      if at + 1 < source.count, isDigit(source[at + 1]) { return try number() }
      at += 1
      let name = word()
      return name.isEmpty ? .dot : .field(name)
    case UInt8(ascii: "$"):
      at += 1
      return .variable("$" + word())
    case UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "="):
      at += 1
      return .symbol(String(UnicodeScalar(byte)))
    case UInt8(ascii: ":") where starts(":="):
      at += 2
      return .symbol(":=")
    case UInt8(ascii: "-"), UInt8(ascii: "+"): return try number()
    case _ where isDigit(byte): return try number()
    default:
      let name = word()
      guard !name.isEmpty else {
        throw Template.failure("unexpected \(quotedForError(byte)) in operand")
      }
      return .identifier(name)
    }
  }

  private func quotedForError(_ byte: UInt8) -> String {
    byte < 0x80 && byte > 0x20 ? "\"\(String(UnicodeScalar(byte)))\"" : "character"
  }

  private mutating func word() -> String {
    let start = at
    while at < source.count {
      let byte = source[at]
      let isLetter = (byte | 32) >= UInt8(ascii: "a") && (byte | 32) <= UInt8(ascii: "z")
      guard isLetter || byte == UInt8(ascii: "_") || byte >= 0x80 || (at > start && isDigit(byte)) else { break }
      at += 1
    }
    return String(decoding: source[start..<at], as: UTF8.self)
  }

  private mutating func number() throws -> TemplateToken {
    let start = at
    at += 1
    while at < source.count, isDigit(source[at]) || source[at] == UInt8(ascii: ".") { at += 1 }
    let text = String(decoding: source[start..<at], as: UTF8.self)
    if let int = Int64(text) { return .number(.int(int)) }
    guard Double(text) != nil else { throw Template.failure("bad number syntax: \"\(text)\"") }
    return .number(.number(text))
  }

  private mutating func quoted() throws -> String {
    var out: [UInt8] = []
    at += 1
    while at < source.count {
      let byte = source[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
      case UInt8(ascii: "\n"): throw Template.failure("unterminated quoted string")
      case UInt8(ascii: "\\"):
        guard at < source.count else { throw Template.failure("unterminated quoted string") }
        switch source[at] {
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): out.append(source[at])
        default: throw Template.failure("invalid syntax in quoted string")
        }
        at += 1
      default: out.append(byte)
      }
    }
    throw Template.failure("unterminated quoted string")
  }

  private mutating func raw() throws -> String {
    let start = at + 1
    at = start
    while at < source.count, source[at] != UInt8(ascii: "`") { at += 1 }
    guard at < source.count else { throw Template.failure("unterminated raw quoted string") }
    at += 1
    return String(decoding: source[start..<(at - 1)], as: UTF8.self)
  }

  private func starts(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { source[at...].starts(with: $0) }
  }

  private mutating func skipBlanks() {
    while at < source.count, isBlank(source[at]) { at += 1 }
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
  private func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
}
