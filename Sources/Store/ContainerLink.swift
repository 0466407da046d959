internal import Core

/// What the link of a container's name holds: its ID, three digits as two characters of RFC 4648's URL alphabet,
/// since file systems keep a target in the inode only up to 59 bytes. A longer one takes a block of the disk.
enum ContainerLink {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// The target for the ID, 64 hexadecimal digits: 44 characters.
  static func target(_ id: String) -> String {
    let digits = id.utf8.map { Int(nibble($0) ?? 0) }
    var out: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 3) {
      let part = (0..<3).reduce(0) { $0 << 4 | (start + $1 < digits.count ? digits[start + $1] : 0) }
      out.append(alphabet[part >> 6])
      out.append(alphabet[part & 63])
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The ID that `target` was made from; nil for any other text.
  static func id(_ target: String) -> String? {
    var digits: [UInt8] = []
    var part = 0
    for (number, character) in target.utf8.enumerated() {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      part = part << 6 | value
      if number % 2 == 1 {
        for shift in [8, 4, 0] { digits.append(hex[part >> shift & 15]) }
        part = 0
      }
    }
    let id = String(decoding: digits.prefix(64), as: UTF8.self)
    return digits.count == 66 && Self.target(id) == target ? id : nil
  }

  private static let hex = Array("0123456789abcdef".utf8)

  private static func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 48...57: digit - 48
    case 97...102: digit - 87
    default: nil
    }
  }
}
