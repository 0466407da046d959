internal import Glibc

/// One of the three descriptors that a process starts with.
public enum StandardStream: Int32, Sendable {
  case input = 0
  case output = 1
  case error = 2

  /// Whether the descriptor is a terminal (isatty(3)).
  public var isTerminal: Bool { isatty(rawValue) == 1 }

  /// The terminal's size in character cells, or nil where the descriptor is no terminal or does not know.
  public var size: (columns: Int, rows: Int)? {
    var window = winsize()
    guard ioctl(rawValue, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else { return nil }
    return (Int(window.ws_col), Int(window.ws_row))
  }

  /// Writes all of `bytes`, waiting where a non-blocking descriptor is full. False if the reader is gone or the write
  /// failed otherwise: what was to be told can't be told, so there is no error to throw.
  @discardableResult
  public func write(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let count = Glibc.write(rawValue, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if errno == EAGAIN {
          var poll = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
          _ = Glibc.poll(&poll, 1, -1)
        } else if errno != EINTR {
          return false
        }
      }
      return true
    }
  }

  /// As `write(_:)` of the UTF-8 bytes.
  @discardableResult
  public func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// Reads a line from the terminal without showing it; nil at the end, or where Ctrl-C was typed.
  public func readSecret() throws -> String? {
    let mode = try TerminalMode(of: rawValue)
    try mode.silent.apply(to: rawValue)
    defer { try? mode.apply(to: rawValue) }
    var line: [UInt8] = []
    while line.count < 65536 {
      var byte: UInt8 = 0
      let count = Glibc.read(rawValue, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 || byte == 3 { return nil }
      if byte == 10 { break }
      line.append(byte)
    }
    return String(decoding: line, as: UTF8.self)
  }

  /// Reads to the end. Nil if there are more than `limit` bytes or a read fails.
  public func readAll(limit: Int) -> [UInt8]? {
    var out: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(rawValue, $0.baseAddress, $0.count) }
      if count == 0 { return out }
      if count < 0 {
        if errno == EINTR { continue }
        return nil
      }
      guard out.count + count <= limit else { return nil }
      out.append(contentsOf: buffer[..<count])
    }
  }
}
