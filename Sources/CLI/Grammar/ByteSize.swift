/// Sizes as flags take them: `512m`, `1.5g`, `64k`, with powers of 1024.
enum ByteSize {
  /// Bytes, or nil if `text` is no size.
  static func parse(_ text: String) -> Int64? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let value = Double(number), value.isFinite else { return nil }
    let scale: Double
    switch text.dropFirst(number.count).lowercased() {
    case "", "b": scale = 1
    case "k", "kb", "kib": scale = 1024
    case "m", "mb", "mib": scale = 1_048_576
    case "g", "gb", "gib": scale = 1_073_741_824
    case "t", "tb", "tib": scale = 1_099_511_627_776
    default: return nil
    }
    let bytes = (value * scale).rounded(.down)
    return bytes < 9e18 ? Int64(bytes) : nil
  }
}
