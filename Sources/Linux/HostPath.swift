public import Core
internal import CLinux
internal import Glibc
internal import Synchronization

/// Calls on paths of the host, for the store's own files and what the user names.
public enum HostPath {
  /// Makes the directory `path` and missing parents, each with `mode` less the umask. An existing one is success.
  public static func makeDirectories(_ path: String, mode: UInt16 = 0o755) throws {
    if mkdir(path, mode_t(mode)) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
      throw SystemError.last("make directory \(path)")
    }
    try makeDirectories(String(path[..<slash]), mode: mode)
    if mkdir(path, mode_t(mode)) != 0, errno != EEXIST { throw SystemError.last("make directory \(path)") }
  }

  /// The status of `path`, nil if there is nothing; a last symbolic link is followed if `follow`.
  public static func status(_ path: String, follow: Bool = true) throws -> FileStatus? {
    var s = stat()
    if fstatat(AT_FDCWD, path, &s, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(s) }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw SystemError.last("stat \(path)")
  }

  /// Sets the time of the last change of `path` and leaves its content and its time of access; false if there is
  /// nothing.
  public static func setModified(_ path: String, _ time: Timestamp) throws -> Bool {
    var times = [
      timespec(tv_sec: 0, tv_nsec: Int(STAVE_UTIME_OMIT)),
      timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds)),
    ]
    if utimensat(AT_FDCWD, path, &times, AT_SYMLINK_NOFOLLOW) == 0 { return true }
    if errno == ENOENT || errno == ENOTDIR { return false }
    throw SystemError.last("set the time of \(path)")
  }

  /// Whether this process may write `path` (access(2)); false where there is nothing.
  public static func isWritable(_ path: String) -> Bool { access(path, W_OK) == 0 }

  /// Renames; an existing file at `new` is replaced.
  public static func rename(_ old: String, to new: String) throws {
    try check("rename \(old) to \(new)") { Glibc.rename(old, new) }
  }

  /// Makes `new` another name of the file `existing`.
  public static func link(_ existing: String, to new: String) throws {
    try check("link \(new) to \(existing)") { Glibc.link(existing, new) }
  }

  /// Makes the symbolic link `path`; false if there is something already. `target` is not looked at.
  public static func makeSymlink(_ path: String, target: String) throws -> Bool {
    if symlink(target, path) == 0 { return true }
    guard errno == EEXIST else { throw SystemError.last("make link \(path)") }
    return false
  }

  /// The target of the symbolic link `path`; nil if there is nothing.
  public static func readLink(_ path: String) throws -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    if count >= 0 { return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) }
    guard errno == ENOENT || errno == ENAMETOOLONG else { throw SystemError.last("read link \(path)") }
    return nil
  }

  /// Sets the permission bits of `path`, whatever the umask.
  public static func setMode(_ path: String, _ mode: UInt16) throws {
    try check("chmod \(path)") { chmod(path, mode_t(mode)) }
  }

  /// Removes a file; nothing there is success.
  public static func removeFile(_ path: String) throws {
    if unlink(path) != 0, errno != ENOENT { throw SystemError.last("remove \(path)") }
  }

  /// Removes an empty directory.
  public static func removeDirectory(_ path: String) throws { try check("remove \(path)") { rmdir(path) } }

  /// Removes `path` and everything in it, without following links; nothing there is success.
  public static func removeTree(_ path: String) throws {
    if unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR { return }
    guard errno == EISDIR else { throw SystemError.last("remove \(path)") }
    try Directory(path).removeEntries()
    try removeDirectory(path)
  }

  /// All bytes of a file; throws a `Failure` beyond `limit`.
  public static func read(_ path: String, limit: Int = 1 << 28) throws -> [UInt8] {
    try OpenFile(path).readAll(limit: limit)
  }

  /// Writes under way or done by this process: two threads may replace one file at the same time.
  private static let writes = Atomic<Int>(0)

  /// Replaces the file `path` whole or not at all: written beside it, synced, renamed.
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt16 = 0o644) throws {
    let number = writes.wrappingAdd(1, ordering: .relaxed).newValue
    let temporary = "\(path).\(getpid())-\(number).tmp"
    do {
      let file = try OpenFile(temporary, .create, permissions: mode)
      try file.write(bytes)
      try file.sync()
      try rename(temporary, to: path)
    } catch {
      unlink(temporary)
      // The file beside it is nobody's business.
      if let error = error as? SystemError { throw SystemError(error.code, "write \(path)") }
      throw error
    }
  }

  /// The absolute path without links, `.` and `..`; throws if it does not exist.
  public static func canonical(_ path: String) throws -> String {
    guard let resolved = realpath(path, nil) else { throw SystemError.last("resolve \(path)") }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// The current directory.
  public static func current() throws -> String {
    guard let path = getcwd(nil, 0) else { throw SystemError.last("get the current directory") }
    defer { free(path) }
    return String(cString: path)
  }

  /// Makes a new directory `prefix` followed by six random characters, mode 0700, and returns its path.
  public static func makeTemporaryDirectory(_ prefix: String) throws -> String {
    var template: [CChar] = Array((prefix + "XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.last("make directory \(prefix)XXXXXX") }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Total and available bytes of the file system that holds `path`.
  public static func space(_ path: String) throws -> (total: Int64, available: Int64) {
    var s = statvfs()
    try check("stat file system of \(path)") { statvfs(path, &s) }
    return (Int64(s.f_blocks) * Int64(s.f_frsize), Int64(s.f_bavail) * Int64(s.f_frsize))
  }

  /// The type of the file system that holds `path` (statfs(2)), nil if there is nothing.
  public static func fileSystemType(_ path: String) -> Int64? {
    let type = stave_file_system(path)
    return type < 0 ? nil : type
  }
}
