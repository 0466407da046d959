public import Core
internal import CLinux
internal import Glibc

/// An open directory, and the door to everything below it: names and paths are relative to it and can't leave it.
///
/// `path` arguments are resolved by openat2(2) with RESOLVE_IN_ROOT: symbolic links are followed as if this directory
/// were `/`. The last component itself is followed only where a method says so.
public final class Directory: Sendable {
  public let file: OpenFile

  /// The path for messages.
  public var path: String { file.path }

  init(_ file: OpenFile) { self.file = file }

  /// Opens the directory `path` of the host.
  public convenience init(_ path: String) throws {
    let fd = try check("open \(path)") { stave_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
    self.init(OpenFile(owning: fd, path: path))
  }

  /// `below` with this directory's path, for messages.
  func label(_ below: TreePath) -> String { below.isRoot ? path : "\(path)/\(below.text)" }

  /// `below` as a C string; `.` for the directory itself.
  private func withPath<T>(_ below: TreePath, _ body: (UnsafePointer<CChar>) throws -> T) rethrows -> T {
    var bytes: [CChar] =
      below.isRoot ? [CChar(bitPattern: UInt8(ascii: "."))] : below.bytes.map(CChar.init(bitPattern:))
    bytes.append(0)
    // The array ends with a NUL, so it is not empty.
    // swift-format-ignore: NeverForceUnwrap
    return try bytes.withUnsafeBufferPointer { try body($0.baseAddress!) }
  }

  private func openat2(_ below: TreePath, flags: Int32, mode: UInt16, action: String) throws -> OpenFile {
    let resolve = UInt64(0x10 | 0x02)  // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    var attempts = 0
    while true {
      do {
        let fd = try withPath(below) { name in
          try check("\(action) \(label(below))") {
            stave_openat2(file.descriptor, name, UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), UInt64(mode), resolve)
          }
        }
        return OpenFile(owning: fd, path: label(below))
      } catch let error as SystemError where error.code == .again && attempts < 64 {
        // `..` while something is renamed anywhere: the kernel could not tell whether it leads out (openat2(2)).
        attempts += 1
      }
    }
  }

  /// Opens `below` for reading; the last component may be a symbolic link within the directory if `followLast`.
  public func open(_ below: TreePath, followLast: Bool = false) throws -> OpenFile {
    try openat2(below, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY | (followLast ? 0 : O_NOFOLLOW), mode: 0, action: "open")
  }

  /// Opens `below` as a mere place (O_PATH), for status or as an anchor; no permission on it is needed.
  public func openPlace(_ below: TreePath, followLast: Bool = false) throws -> OpenFile {
    try openat2(below, flags: Int32(STAVE_O_PATH) | (followLast ? 0 : O_NOFOLLOW), mode: 0, action: "open")
  }

  /// Opens the directory `below`, following symbolic links within this one if `followLast`.
  public func directory(_ below: TreePath, followLast: Bool = false) throws -> Directory {
    Directory(
      try openat2(below, flags: O_RDONLY | O_DIRECTORY | (followLast ? 0 : O_NOFOLLOW), mode: 0, action: "open"))
  }

  /// Creates the file `below`, which must not exist, for reading and writing.
  public func create(_ below: TreePath, mode: UInt16 = 0o600) throws -> OpenFile {
    try openat2(below, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode, action: "create")
  }

  /// The status of `below`, itself if it is a symbolic link; nil if there is nothing.
  public func status(_ below: TreePath, followLast: Bool = false) throws -> FileStatus? {
    do {
      return try openPlace(below, followLast: followLast).status()
    } catch let error as SystemError where error.code == .noEntry || error.code == .notDirectory {
      return nil
    }
  }

  /// The status of the entry `name` of this very directory, in one call, not following it.
  public func entryStatus(_ name: [UInt8]) throws -> FileStatus {
    var s = stat()
    var text: [CChar] = name.map(CChar.init(bitPattern:))
    text.append(0)
    try check("stat \(path)/\(String(decoding: name, as: UTF8.self))") {
      fstatat(file.descriptor, text, &s, AT_SYMLINK_NOFOLLOW)
    }
    return FileStatus(s)
  }

  /// The names in this directory without `.` and `..`, sorted by bytes.
  public func entries() throws -> [[UInt8]] {
    var names: [[UInt8]] = []
    try forEachEntry { name, _ in names.append(name) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// The directory that holds `below`, and its last name: what the *at calls need.
  func parent(of below: TreePath) throws -> (directory: OpenFile, name: [CChar]) {
    let anchor = try openat2(below.parent, flags: Int32(STAVE_O_PATH) | O_DIRECTORY, mode: 0, action: "open")
    var name: [CChar] = below.name.map(CChar.init(bitPattern:))
    name.append(0)
    return (anchor, name)
  }

  /// The target of the symbolic link `below`.
  public func readLink(_ below: TreePath) throws -> [UInt8] {
    let (anchor, name) = try parent(of: below)
    var result = 0
    // A buffer of 4096 bytes has an address.
    // swift-format-ignore: NeverForceUnwrap
    let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      result = buffer.withMemoryRebound(to: CChar.self) {
        readlinkat(anchor.descriptor, name, $0.baseAddress!, 4096)
      }
      count = max(result, 0)
    }
    if result < 0 { throw SystemError.last("read link \(label(below))") }
    return bytes
  }

  /// Makes the directory `below`, which must not exist, with `mode` less the umask; its parent must exist.
  public func makeDirectory(_ below: TreePath, mode: UInt16 = 0o755) throws {
    let (anchor, name) = try parent(of: below)
    try check("make directory \(label(below))") { mkdirat(anchor.descriptor, name, mode_t(mode)) }
  }

  /// Makes the symbolic link `below`, which must not exist; `target` is not looked at.
  public func makeSymlink(_ below: TreePath, target: [UInt8]) throws {
    let (anchor, name) = try parent(of: below)
    var text: [CChar] = target.map(CChar.init(bitPattern:))
    text.append(0)
    try check("make link \(label(below))") { symlinkat(text, anchor.descriptor, name) }
  }

  /// Makes `below` another name of the file `existing`, itself if it is a symbolic link.
  public func makeHardLink(_ below: TreePath, to existing: TreePath) throws {
    let (anchor, name) = try parent(of: below)
    let (source, old) = try parent(of: existing)
    try check("link \(label(below)) to \(label(existing))") {
      linkat(source.descriptor, old, anchor.descriptor, name, 0)
    }
  }

  /// Makes a device node, a fifo or (character device 0/0) an overlay whiteout.
  public func makeNode(_ below: TreePath, kind: FileStatus.Kind, mode: UInt16, major: UInt32 = 0, minor: UInt32 = 0)
    throws
  {
    let (anchor, name) = try parent(of: below)
    let type: mode_t =
      switch kind {
      case .characterDevice: S_IFCHR
      case .blockDevice: S_IFBLK
      case .fifo: S_IFIFO
      case .socket: S_IFSOCK
      default: throw SystemError(.invalid, "make node \(label(below))")
      }
    try check("make node \(label(below))") {
      mknodat(anchor.descriptor, name, type | mode_t(mode), dev_t(stave_makedev(major, minor)))
    }
  }

  /// Renames within this directory; an existing file at `new` is replaced.
  public func rename(_ old: TreePath, to new: TreePath) throws {
    let (from, oldName) = try parent(of: old)
    let (to, newName) = try parent(of: new)
    try check("rename \(label(old)) to \(label(new))") {
      renameat(from.descriptor, oldName, to.descriptor, newName)
    }
  }

  /// Sets owner of `below`, itself if it is a symbolic link.
  public func setOwner(_ below: TreePath, uid: UInt32, gid: UInt32) throws {
    let (anchor, name) = try parent(of: below)
    try check("chown \(label(below))") { fchownat(anchor.descriptor, name, uid, gid, AT_SYMLINK_NOFOLLOW) }
  }

  /// Sets permission bits of `below`, which must not be a symbolic link.
  public func setMode(_ below: TreePath, _ mode: UInt16) throws {
    if below.isRoot { return try file.setMode(mode) }
    let (anchor, name) = try parent(of: below)
    try check("chmod \(label(below))") { fchmodat(anchor.descriptor, name, mode_t(mode), 0) }
  }

  /// Sets the modification time of `below`, itself if it is a symbolic link.
  public func setModified(_ below: TreePath, _ time: Timestamp) throws {
    if below.isRoot { return try file.setModified(time) }
    let (anchor, name) = try parent(of: below)
    let times = [timespec(time), timespec(time)]
    try check("set time of \(label(below))") {
      utimensat(anchor.descriptor, name, times, AT_SYMLINK_NOFOLLOW)
    }
  }

  /// A path of the process that names `below` itself without following a last link, for calls without an *at form.
  private func procPath(_ below: TreePath) throws -> (anchor: OpenFile, path: [CChar]) {
    if below.isRoot { return (file, Array("/proc/self/fd/\(file.descriptor)".utf8CString)) }
    let (anchor, name) = try parent(of: below)
    return (anchor, Array("/proc/self/fd/\(anchor.descriptor)/".utf8CString.dropLast()) + name)
  }

  /// The value of an extended attribute of `below` itself, nil if there is none.
  public func attribute(_ below: TreePath, _ name: String) throws -> [UInt8]? {
    let (anchor, path) = try procPath(below)
    return try withExtendedLifetime(anchor) {
      try Xattr.value(name, "read attribute \(name) of \(label(below))") {
        stave_getxattr(path, name, $0, $1, below.isRoot ? 1 : 0)
      }
    }
  }

  /// The names of all extended attributes of `below` itself, sorted.
  public func attributeNames(_ below: TreePath) throws -> [String] {
    let (anchor, path) = try procPath(below)
    return try withExtendedLifetime(anchor) {
      try Xattr.names("list attributes of \(label(below))") {
        stave_listxattr(path, $0, $1, below.isRoot ? 1 : 0)
      }
    }
  }

  /// Sets an extended attribute of `below` itself.
  public func setAttribute(_ below: TreePath, _ name: String, _ value: [UInt8]) throws {
    let (anchor, path) = try procPath(below)
    try withExtendedLifetime(anchor) {
      _ = try check("set attribute \(name) of \(label(below))") {
        stave_setxattr(path, name, value, value.count, below.isRoot ? 1 : 0)
      }
    }
  }
}
