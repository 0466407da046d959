public import Core
internal import CLinux
internal import Glibc

/// An open file: owns its descriptor and closes it when the last reference goes.
public final class OpenFile: Sendable {
  /// The descriptor, valid as long as `self` lives.
  public let descriptor: Int32
  /// The path for messages.
  public let path: String

  /// Takes over `descriptor`.
  public init(owning descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  /// How a file is opened.
  public enum Mode: Sendable {
    /// For reading.
    case read
    /// For writing at the end of what is there.
    case append
    /// For writing at the end of a file that exists.
    case appendExisting
    /// For writing; created, emptied if it exists, permissions 0666 less the umask.
    case create
    /// For reading and writing; created 0600; `exists` if there is one.
    case createNew
    /// For reading and writing what is there; created if missing.
    case readWrite

    var flags: Int32 {
      switch self {
      case .read: O_RDONLY
      case .append: O_WRONLY | O_APPEND | O_CREAT
      case .appendExisting: O_WRONLY | O_APPEND
      case .create: O_WRONLY | O_CREAT | O_TRUNC
      case .createNew: O_RDWR | O_CREAT | O_EXCL
      case .readWrite: O_RDWR | O_CREAT
      }
    }
  }

  /// Opens the file `path` of the host; close-on-exec.
  public convenience init(_ path: String, _ mode: Mode = .read, permissions: UInt16? = nil) throws {
    let bits = mode_t(permissions ?? { if case .createNew = mode { 0o600 } else { 0o666 } }())
    let fd = try check("open \(path)") { stave_openat(AT_FDCWD, path, mode.flags | O_CLOEXEC, bits) }
    self.init(owning: fd, path: path)
  }

  /// Reads at most `buffer.count` bytes; 0 at the end.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    try check("read \(path)") { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
  }

  /// Reads at `offset` without moving the position; 0 at the end.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try check("read \(path)") { pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
  }

  /// Reads to the end; throws a `Failure` when there are more than `limit` bytes.
  public func readAll(limit: Int = 1 << 30) throws -> [UInt8] {
    let status = try? status()
    let expected = status?.kind == .regular ? Int(clamping: status?.size ?? 0) : 0
    func next(_ size: Int) throws -> [UInt8] {
      try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = try read(into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<size]))
      }
    }
    // One byte more than the file's size: a file that ends where it should needs no second call. Those of /proc have
    // no size.
    var out = expected > 0 && expected < limit ? try next(expected + 1) : []
    if expected > 0, out.count == expected { return out }
    while true {
      let more = try next(65536)
      if more.isEmpty { return out }
      guard out.count + more.count <= limit else { throw Failure("read \(path)", "larger than \(limit) bytes") }
      out.append(contentsOf: more)
    }
  }

  /// Reads to the end of the line that begins here, without it, or to the end of the file; throws a `Failure` when it
  /// is longer than `limit` bytes. More may have been read.
  public func readLine(limit: Int = 1 << 24) throws -> [UInt8] {
    var out: [UInt8] = []
    while true {
      let more = try [UInt8](unsafeUninitializedCapacity: 8192) { buffer, count in
        count = try read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      if let end = more.firstIndex(of: UInt8(ascii: "\n")) { return out + more[..<end] }
      if more.isEmpty { return out }
      guard out.count + more.count <= limit else { throw Failure("read \(path)", "larger than \(limit) bytes") }
      out += more
    }
  }

  /// Writes all of `bytes`.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while rest.count > 0 {
      let n = try check("write \(path)") { Glibc.write(descriptor, rest.baseAddress, rest.count) }
      rest = UnsafeRawBufferPointer(rebasing: rest[n...])
    }
  }

  /// Writes all of `bytes`.
  public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

  /// Writes the UTF-8 bytes of `text`.
  public func write(_ text: String) throws { try write(Array(text.utf8)) }

  /// Writes all of `bytes` at `offset` without moving the position.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    var rest = bytes
    var at = offset
    while rest.count > 0 {
      let n = try check("write \(path)") { pwrite(descriptor, rest.baseAddress, rest.count, off_t(at)) }
      at += Int64(n)
      rest = UnsafeRawBufferPointer(rebasing: rest[n...])
    }
  }

  /// Moves the position to `offset` from the start.
  public func seek(to offset: Int64) throws { try check("seek \(path)") { lseek(descriptor, off_t(offset), SEEK_SET) } }

  /// Makes the file `size` bytes long: cut, or filled with zeros.
  public func truncate(to size: Int64) throws { try check("truncate \(path)") { ftruncate(descriptor, off_t(size)) } }

  /// Waits until data and size are on the disk: fdatasync(2).
  public func sync() throws { try check("sync \(path)") { fdatasync(descriptor) } }

  /// Begins to write the range to the disk, without waiting for it (sync_file_range(2)).
  public func beginWriteBack(from offset: Int64, count: Int64) { stave_write_back(descriptor, offset, count) }

  /// What the file is now (fstat(2)).
  public func status() throws -> FileStatus {
    var s = stat()
    try check("stat \(path)") { fstat(descriptor, &s) }
    return FileStatus(s)
  }

  /// Sets the permission bits.
  public func setMode(_ mode: UInt16) throws { try check("chmod \(path)") { fchmod(descriptor, mode_t(mode)) } }

  /// Sets owner and group; an all-ones id leaves that one.
  public func setOwner(uid: UInt32, gid: UInt32) throws {
    try check("chown \(path)") { fchown(descriptor, uid, gid) }
  }

  /// Sets the times of access and modification.
  public func setModified(_ time: Timestamp) throws {
    let times = [timespec(time), timespec(time)]
    try check("set time of \(path)") { futimens(descriptor, times) }
  }

  /// The value of the extended attribute `name`, nil if there is none.
  public func attribute(_ name: String) throws -> [UInt8]? {
    try Xattr.value(name, "read attribute \(name) of \(path)") { stave_fgetxattr(descriptor, name, $0, $1) }
  }

  /// The names of all extended attributes, sorted. Empty where the file system has none.
  public func attributeNames() throws -> [String] {
    try Xattr.names("list attributes of \(path)") { stave_flistxattr(descriptor, $0, $1) }
  }

  /// Sets the extended attribute `name`.
  public func setAttribute(_ name: String, _ value: [UInt8]) throws {
    try check("set attribute \(name) of \(path)") { stave_fsetxattr(descriptor, name, value, value.count) }
  }

  /// A pipe: what is written to `write` is read from `read`. Both close-on-exec.
  public static func pipe() throws -> (read: OpenFile, write: OpenFile) {
    var fds: [Int32] = [0, 0]
    try check("make a pipe") { stave_pipe2(&fds, O_CLOEXEC) }
    return (OpenFile(owning: fds[0], path: "pipe"), OpenFile(owning: fds[1], path: "pipe"))
  }

  /// A second descriptor of the same open file, close-on-exec.
  public static func duplicate(_ descriptor: Int32, path: String) throws -> OpenFile {
    let fd = try check("duplicate \(path)") { stave_fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }
    return OpenFile(owning: fd, path: path)
  }
}

extension timespec {
  init(_ time: Timestamp) { self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds)) }
}

/// The two-call protocol of getxattr(2) and listxattr(2).
enum Xattr {
  static func value(_ name: String, _ action: @autoclosure () -> String, _ call: (UnsafeMutableRawPointer?, Int) -> Int)
    throws -> [UInt8]?
  {
    var size = 256
    while true {
      var result = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        result = call(buffer.baseAddress, size)
        count = max(result, 0)
      }
      if result >= 0 { return bytes }
      switch errno {
      case ENODATA, ENOTSUP: return nil
      case ERANGE where size < 1 << 16: size = 1 << 16
      default: throw SystemError.last(action())
      }
    }
  }

  static func names(_ action: @autoclosure () -> String, _ call: (UnsafeMutablePointer<CChar>?, Int) -> Int) throws
    -> [String]
  {
    var size = 256
    while true {
      var result = 0
      let bytes = [CChar](unsafeUninitializedCapacity: size) { buffer, count in
        result = call(buffer.baseAddress, size)
        count = max(result, 0)
      }
      if result == 0 { return [] }
      if result > 0 {
        return bytes.split(separator: 0).map { String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self) }
          .sorted()
      }
      switch errno {
      case ENOTSUP: return []
      case ERANGE where size < 1 << 16: size = 1 << 16
      default: throw SystemError.last(action())
      }
    }
  }
}
