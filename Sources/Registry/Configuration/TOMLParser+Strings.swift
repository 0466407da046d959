internal import Core

extension TOMLParser {
  /// `"basic"` or `'literal'`.
  mutating func shortString() throws -> String {
    let quote = peek()
    at += 1
    var out: [UInt8] = []
    while true {
      guard at < bytes.count else { throw failure("string without an end") }
      let byte = bytes[at]
      if byte == quote { break }
      if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        try escape(into: &out)
        continue
      }
      guard byte != 0x0A, byte != 0x0D else { throw failure("string without an end") }
      guard isText(byte) else { throw failure("control character in a string") }
      out.append(byte)
      at += 1
    }
    at += 1
    return String(decoding: out, as: UTF8.self)
  }

  /// `"""basic"""` or `'''literal'''`, with ends of lines in it; one right behind the opening quotes does not count.
  mutating func longString() throws -> String {
    let quote = peek()
    at += 3
    if looking(at: "\r\n") { at += 2 } else if peek() == 0x0A { at += 1 }
    var out: [UInt8] = []
    while true {
      guard at < bytes.count else { throw failure("string without an end") }
      let byte = bytes[at]
      if byte == quote {
        let count = bytes[at...].prefix(6) { $0 == quote }.count
        // Up to two quotes may stand right before the closing ones.
        guard count <= 5 else { throw failure("too many quotes at the end of a string") }
        at += count
        if count < 3 {
          out.append(contentsOf: repeatElement(quote, count: count))
          continue
        }
        out.append(contentsOf: repeatElement(quote, count: count - 3))
        return String(decoding: out, as: UTF8.self)
      }
      if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        if try !skipFold() { try escape(into: &out) }
        continue
      }
      guard isText(byte) || byte == 0x0A || looking(at: "\r\n") else {
        throw failure("control character in a string")
      }
      out.append(byte)
      at += 1
    }
  }

  /// A backslash at the end of a line, which swallows all blanks and ends of lines up to the next character.
  private mutating func skipFold() throws -> Bool {
    var end = at + 1
    var hasLine = false
    while end < bytes.count {
      if bytes[end] == 0x0A {
        hasLine = true
      } else if bytes[end] == 0x0D, end + 1 < bytes.count, bytes[end + 1] == 0x0A {
        end += 1
        hasLine = true
      } else if bytes[end] != 0x20, bytes[end] != 0x09 {
        break
      }
      end += 1
    }
    if hasLine { at = end }
    return hasLine
  }

  private mutating func escape(into out: inout [UInt8]) throws {
    at += 1
    let byte = peek()
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(byte)
    case UInt8(ascii: "b"): out.append(8)
    case UInt8(ascii: "t"): out.append(9)
    case UInt8(ascii: "n"): out.append(10)
    case UInt8(ascii: "f"): out.append(12)
    case UInt8(ascii: "r"): out.append(13)
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      var code: UInt32 = 0
      for _ in 0..<(byte == UInt8(ascii: "u") ? 4 : 8) {
        guard let digit = Character(UnicodeScalar(peek())).hexDigitValue, code >> 28 == 0 else {
          throw failure("malformed \\u escape")
        }
        code = code << 4 | UInt32(digit)
        at += 1
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure("\\u escape names no character") }
      out.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("unknown escape in a string")
    }
  }

  private func isText(_ byte: UInt8) -> Bool { byte == 0x09 || (byte >= 0x20 && byte != 0x7F) }
}

extension ArraySlice<UInt8> {
  /// The longest start, at most `limit` long, of elements that `body` wants.
  fileprivate func prefix(_ limit: Int, while body: (UInt8) -> Bool) -> ArraySlice<UInt8> {
    prefix(limit).prefix(while: body)
  }
}
