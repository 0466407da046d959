internal import CLinux
internal import Glibc

/// A flock(2) on a file or directory, held until `release` or the last reference goes, and by the kernel's hand when
/// the process ends, however it ends. Two locks of one process exclude each other as those of two processes do.
public final class FileLock: Sendable {
  public enum Kind: Sendable { case shared, exclusive }

  private let file: OpenFile

  private init(_ file: OpenFile) { self.file = file }

  /// Locks `path`, an existing directory, or a file that is made if missing (0600); waits as long as it takes.
  public static func acquire(_ path: String, _ kind: Kind) throws -> FileLock {
    let file = try open(path)
    try check("lock \(path)") { flock(file.descriptor, operation(kind)) }
    return FileLock(file)
  }

  /// As `acquire`, but nothing is made: throws where `path` does not exist.
  public static func acquire(existing path: String, _ kind: Kind) throws -> FileLock {
    let file = try OpenFile(path)
    try check("lock \(path)") { flock(file.descriptor, operation(kind)) }
    return FileLock(file)
  }

  /// As `acquire`, but nil at once where another holder is in the way.
  public static func attempt(_ path: String, _ kind: Kind) throws -> FileLock? {
    let file = try open(path)
    do {
      try check("lock \(path)") { flock(file.descriptor, operation(kind) | LOCK_NB) }
    } catch let error as SystemError where error.code == .again {
      return nil
    }
    return FileLock(file)
  }

  /// Gives the lock up; doing it again does nothing.
  public func release() { _ = flock(file.descriptor, LOCK_UN) }

  /// Whether `path` still names the file that is locked: false if it was replaced or removed meanwhile.
  public func isCurrent(_ path: String) throws -> Bool {
    guard let there = try HostPath.status(path) else { return false }
    let held = try file.status()
    return there.inode == held.inode && there.device == held.device
  }

  /// Opens the directory `path`, or the file, made if missing (0600).
  static func open(_ path: String) throws -> OpenFile {
    let there = stave_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
    if there >= 0 { return OpenFile(owning: there, path: path) }
    let fd = try check("open \(path)") { stave_openat(AT_FDCWD, path, O_RDONLY | O_CREAT | O_CLOEXEC, 0o600) }
    return OpenFile(owning: fd, path: path)
  }

  private static func operation(_ kind: Kind) -> Int32 { kind == .shared ? LOCK_SH : LOCK_EX }
}
