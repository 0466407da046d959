/// Base64 of RFC 4648, section 4.
enum Base64 {
  private static let digits: [UInt8] = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// `bytes` with padding.
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte: UInt8 in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 1
      if count == 3 {
        for shift: UInt32 in [18, 12, 6, 0] { out.append(digits[Int(bits >> shift & 63)]) }
        bits = 0
        count = 0
      }
    }
    if count > 0 {
      bits <<= UInt32(8 * (3 - count))
      for index in 0...count { out.append(digits[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
      out += [UInt8](repeating: UInt8(ascii: "="), count: 3 - count)
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The bytes of `text`, padded or not; nil if it is none of Base64.
  static func decode(_ text: String) -> [UInt8]? {
    var out: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var body = text.utf8[...]
    while body.last == UInt8(ascii: "=") { body = body.dropLast() }
    guard text.utf8.count - body.count <= 2, body.count % 4 != 1 else { return nil }
    for byte: UInt8 in body {
      let value: UInt8
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 71
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte + 4
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      default: return nil
      }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return out
  }
}
