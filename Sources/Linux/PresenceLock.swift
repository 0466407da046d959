public import Core
internal import CLinux
internal import Glibc

/// Says that a process is at work, and since when, to whoever asks: a shared lock of one byte of a file, at the offset
/// that is the beginning's millisecond (fcntl(2), open file description locks). The kernel ends it with the process.
public final class PresenceLock: Sendable {
  /// When the holder began, whole milliseconds.
  public let since: Timestamp
  private let file: OpenFile

  private init(_ file: OpenFile, _ since: Timestamp) {
    self.file = file
    self.since = since
  }

  /// Joins those who are at work at `path`, a file that is made if missing (0600), as one who began at `since`.
  public static func join(_ path: String, since: Timestamp) throws -> PresenceLock {
    let file = try FileLock.open(path)
    let offset = milliseconds(since)
    var range = range(offset, length: 1, Int16(F_RDLCK))
    try check("lock \(path)") { lock(file.descriptor, setLock, &range) }
    return PresenceLock(
      file, Timestamp(seconds: offset / 1000, nanoseconds: Int32(offset % 1000) * 1_000_000))
  }

  /// When the one who has been at work for longest began; nil if there is none. Own locks count too.
  public static func oldest(_ path: String) throws -> Timestamp? {
    let file = try FileLock.open(path)
    var found: Int64?
    while true {
      // A length of 0 reaches to the end of all offsets.
      if found == 0 { break }
      var range = range(0, length: found ?? 0, Int16(F_WRLCK))
      try check("look at locks of \(path)") { lock(file.descriptor, getLock, &range) }
      if range.l_type == Int16(F_UNLCK) { break }
      found = Int64(range.l_start)
    }
    return found.map { Timestamp(seconds: $0 / 1000, nanoseconds: Int32($0 % 1000) * 1_000_000) }
  }

  /// Gives the lock up; doing it again does nothing.
  public func release() {
    var range = PresenceLock.range(0, length: 0, Int16(F_UNLCK))
    _ = PresenceLock.lock(file.descriptor, PresenceLock.setLock, &range)
  }

  // F_OFD_GETLK and F_OFD_SETLK, which the C library shows only with _GNU_SOURCE.
  private static let getLock: Int32 = 36
  private static let setLock: Int32 = 37

  private static func lock(_ descriptor: Int32, _ command: Int32, _ range: inout Glibc.flock) -> Int32 {
    withUnsafeMutablePointer(to: &range) { stave_fcntl(descriptor, command, Int(bitPattern: $0)) }
  }

  private static func range(_ start: Int64, length: Int64, _ kind: Int16) -> Glibc.flock {
    Glibc.flock(l_type: kind, l_whence: Int16(SEEK_SET), l_start: off_t(start), l_len: off_t(length), l_pid: 0)
  }

  private static func milliseconds(_ time: Timestamp) -> Int64 {
    max(0, min(time.seconds, 1 << 50)) * 1000 + Int64(time.nanoseconds) / 1_000_000
  }
}
