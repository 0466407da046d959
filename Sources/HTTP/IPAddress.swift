/// An IPv4 address (4 bytes) or an IPv6 address (16 bytes).
public struct IPAddress: Sendable, Hashable {
  public let bytes: [UInt8]

  /// Parses `10.0.0.1`, `fe80::1`, `[::1]`; nil if `text` is none. An IPv4 address written as IPv6 is one of IPv4.
  public init?(_ text: String) {
    var text = Substring(text)
    if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
    if let zone = text.firstIndex(of: "%") { text = text[..<zone] }
    guard text.utf8.count <= 45 else { return nil }
    guard let bytes = text.contains(":") ? IPAddress.six(text) : IPAddress.four(text) else { return nil }
    let isMapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255
    self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
  }

  /// Whether it is this machine's own: 127.0.0.0/8 or ::1.
  public var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }

  private static func four(_ text: Substring) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    let bytes = parts.compactMap { part in
      part.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } ? UInt8(part) : nil
    }
    return bytes.count == 4 ? bytes : nil
  }

  private static func six(_ text: Substring) -> [UInt8]? {
    func groups(_ part: Substring) -> [UInt8]? {
      if part.isEmpty { return [] }
      var out: [UInt8] = []
      let words = part.split(separator: ":", omittingEmptySubsequences: false)
      for (at, word) in words.enumerated() {
        if at == words.count - 1, word.contains(".") {
          guard let last = four(word) else { return nil }
          out += last
        } else {
          guard (1...4).contains(word.utf8.count), !word.hasPrefix("+"), let value = UInt16(word, radix: 16) else {
            return nil
          }
          out += [UInt8(value >> 8), UInt8(value & 255)]
        }
      }
      return out
    }
    var at = text.startIndex
    while at < text.endIndex {
      if text[at...].hasPrefix("::") {
        guard let front = groups(text[..<at]), let back = groups(text[at...].dropFirst(2)),
          front.count + back.count <= 14
        else { return nil }
        return front + [UInt8](repeating: 0, count: 16 - front.count - back.count) + back
      }
      at = text.index(after: at)
    }
    guard let bytes = groups(text), bytes.count == 16 else { return nil }
    return bytes
  }
}

/// The addresses that begin with the same bits: `10.0.0.0/8`.
public struct IPNetwork: Sendable, Hashable {
  public let address: IPAddress
  /// How many bits count.
  public let length: Int

  /// Parses `address/length`; nil if `text` is none.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPAddress(String(parts[0])),
      parts[1].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let length = Int(parts[1]),
      length <= address.bytes.count * 8
    else { return nil }
    self.address = address
    self.length = length
  }

  public func contains(_ other: IPAddress) -> Bool {
    guard other.bytes.count == address.bytes.count else { return false }
    let whole = length / 8
    guard other.bytes.prefix(whole) == address.bytes.prefix(whole) else { return false }
    let rest = length % 8
    return rest == 0 || (other.bytes[whole] ^ address.bytes[whole]) >> (8 - rest) == 0
  }
}
