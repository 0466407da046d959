internal import Core

extension TOMLParser {
  /// `a."b c".d` and the blanks around it.
  mutating func keyPath() throws -> [String] {
    var path: [String] = []
    while true {
      skipBlanks()
      path.append(try key())
      guard path.count <= TOML.maximumDepth else { throw failure("nested more than \(TOML.maximumDepth) deep") }
      skipBlanks()
      guard peek() == UInt8(ascii: ".") else { return path }
      at += 1
    }
  }

  private mutating func key() throws -> String {
    if peek() == UInt8(ascii: "\"") || peek() == UInt8(ascii: "'") {
      guard !looking(at: "\"\"\""), !looking(at: "'''") else { throw failure("a key can't have several lines") }
      return try shortString()
    }
    let start = at
    while isBare(peek()) { at += 1 }
    guard at > start else { throw failure("expected a key") }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: false
    }
  }
}
