internal import Core

extension TOMLParser {
  /// `true`, `12`, `0xff`, `-1.5e3`, `inf`.
  mutating func scalar() throws -> TOML {
    let start = at
    while isPart(peek()) { at += 1 }
    let word = String(decoding: bytes[start..<at], as: UTF8.self)
    switch word {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "inf", "+inf": return .float(.infinity)
    case "-inf": return .float(-.infinity)
    case "nan", "+nan", "-nan": return .float(.nan)
    case "": throw failure("expected a value")
    default: break
    }
    if isDate(word) { throw failure("dates are not supported") }
    guard let digits = ungrouped(word) else { throw failure("\"\(word)\" is no value: strings stand in quotes") }
    if let value = try integer(digits, word) { return .int(value) }
    if isFloat(digits), let value = Double(digits) { return .float(value) }
    throw failure("\"\(word)\" is no value: strings stand in quotes")
  }

  private func isPart(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122: true
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"): true
    default: false
    }
  }

  /// `1979-05-27...` or `07:32...`.
  private func isDate(_ word: String) -> Bool {
    let text = Array(word.utf8)
    let digits = text.prefix { $0 >= 48 && $0 <= 57 }.count
    guard digits < text.count else { return false }
    return (digits == 4 && text[digits] == UInt8(ascii: "-")) || (digits == 2 && text[digits] == UInt8(ascii: ":"))
  }

  /// Without the `_` between digits; nil where one stands elsewhere.
  private func ungrouped(_ word: String) -> String? {
    let text = Array(word.utf8)
    let isHex = word.hasPrefix("0x")
    func isDigit(_ index: Int) -> Bool {
      guard text.indices.contains(index) else { return false }
      return (text[index] >= 48 && text[index] <= 57)
        || (isHex && Character(UnicodeScalar(text[index])).hexDigitValue != nil)
    }
    for (index, byte) in text.enumerated() where byte == UInt8(ascii: "_") {
      guard isDigit(index - 1), isDigit(index + 1) else { return nil }
    }
    return word.filter { $0 != "_" }
  }

  /// nil if `digits` is no integer; throws if it is one that 64 bits don't hold.
  private func integer(_ digits: String, _ word: String) throws -> Int64? {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
      let rest = digits.dropFirst(2)
      guard !word.hasPrefix(prefix + "_"), !rest.isEmpty,
        rest.utf8.allSatisfy({ byte in
          Character(UnicodeScalar(byte)).hexDigitValue.map { $0 < radix } ?? false
        })
      else { return nil }
      guard let value = Int64(rest, radix: radix) else { throw failure("\"\(word)\" does not fit in 64 bits") }
      return value
    }
    let unsigned = digits.drop { $0 == "+" || $0 == "-" }
    guard digits.count - unsigned.count <= 1, isDecimal(unsigned) else { return nil }
    guard let value = Int64(digits) else { throw failure("\"\(word)\" does not fit in 64 bits") }
    return value
  }

  /// Digits without a leading zero.
  private func isDecimal(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } && (text.utf8.count == 1 || !text.hasPrefix("0"))
  }

  private func isFloat(_ digits: String) -> Bool {
    let unsigned = digits.hasPrefix("+") || digits.hasPrefix("-") ? digits.dropFirst() : Substring(digits)
    let parts = unsigned.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
    if parts.count == 2 {
      let power = parts[1].hasPrefix("+") || parts[1].hasPrefix("-") ? parts[1].dropFirst() : parts[1]
      guard !power.isEmpty, power.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return false }
    }
    let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard isDecimal(mantissa[0]) else { return false }
    guard mantissa.count == 2 else { return parts.count == 2 }
    return !mantissa[1].isEmpty && mantissa[1].utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
  }
}
