internal import Core

/// The lines of a file as bytes, each with its newline; a byte order mark at the start is dropped.
struct PhysicalLines {
  /// The longest line, in bytes without its newline.
  static let maximumLength = 65535

  private let bytes: [UInt8]
  private var at: Int
  /// The number of lines read, so also of the last one, from 1.
  private(set) var number = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    at = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
  }

  /// The next line, or nil at the end. Throws when it is too long.
  mutating func next() throws -> ArraySlice<UInt8>? {
    guard at < bytes.count else { return nil }
    let rest = bytes[at...]
    let newline = rest.prefix(PhysicalLines.maximumLength + 1).firstIndex(of: UInt8(ascii: "\n"))
    if newline == nil, rest.count > PhysicalLines.maximumLength {
      throw ParseError(
        "dockerfile line greater than max allowed size of \(PhysicalLines.maximumLength)",
        at: SourceRange(number + 1, number + 1))
    }
    let end = newline.map { $0 + 1 } ?? bytes.count
    defer { at = end }
    number += 1
    return bytes[at..<end]
  }

  /// Without the newline and carriage return bytes at its end.
  static func withoutNewline(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var line = line
    while let last = line.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { line = line.dropLast() }
    return line
  }

  /// The line as Unicode; bytes that are not UTF-8 become U+FFFD.
  static func text(_ line: ArraySlice<UInt8>) -> Scalars { String(decoding: line, as: UTF8.self).scalars }
}
