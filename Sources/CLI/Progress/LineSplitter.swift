internal import Core

/// Cuts a step's output into lines and remembers when each began.
struct LineSplitter: Sendable {
  /// A line without its newline.
  struct Line: Sendable, Equatable {
    var bytes: [UInt8]
    /// When its first byte came.
    var at: Timestamp
  }

  /// A line without an end is cut here.
  static let maximumLine = 65536

  private var partial: [UInt8] = []
  private var began: Timestamp?

  init() {}

  /// The lines that `bytes`, which came at `now`, complete.
  mutating func add(_ bytes: [UInt8], at now: Timestamp) -> [Line] {
    var out: [Line] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let end = rest.firstIndex(of: UInt8(ascii: "\n"))
      let room = LineSplitter.maximumLine - partial.count
      if began == nil { began = now }
      if let end, end - rest.startIndex <= room {
        partial += rest[..<end]
        rest = rest[(end + 1)...]
        out += flush()
      } else if rest.count >= room {
        partial += rest.prefix(room)
        rest = rest.dropFirst(room)
        out += flush()
      } else {
        partial += rest
        rest = []
      }
    }
    return out
  }

  /// The line that has no newline yet, if there is one.
  mutating func flush() -> [Line] {
    guard let began else { return [] }
    var bytes = partial
    if bytes.last == 0x0D { bytes.removeLast() }
    partial = []
    self.began = nil
    return [Line(bytes: bytes, at: began)]
  }
}
