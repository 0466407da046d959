internal import Core
internal import CLinux
internal import Glibc

/// The entries of one directory with the status of each, sorted by the bytes of their names: one state, read once.
///
/// Kept in two blocks of memory however many entries there are.
public final class DirectoryListing: @unchecked Sendable {
  /// The path of the directory, for messages.
  public let path: String
  // Changed by `keep` only, before the listing is shared.
  private var listing = stave_listing()

  /// Lists `directory`.
  public init(_ directory: Directory) throws {
    path = directory.path
    let fd = directory.file.descriptor
    // Listed by somebody else before: the position is the open file's.
    lseek(fd, 0, SEEK_SET)
    guard stave_list(fd, &listing) == 0 else {
      let error = SystemError.last("read \(path)")
      stave_listing_free(&listing)
      throw error
    }
  }

  deinit { stave_listing_free(&listing) }

  public var count: Int { listing.count }

  /// Drops the entries that `body` does not want. Only for whoever made the listing, before others see it.
  public func keep(where body: (Int) throws -> Bool) rethrows {
    var kept = 0
    for index in 0..<listing.count where try body(index) {
      listing.entries[kept] = listing.entries[index]
      kept += 1
    }
    listing.count = kept
  }

  /// What lstat(2) told of the entry.
  public func status(_ index: Int) -> FileStatus { FileStatus(listing.entries[index]) }

  /// The kind of the entry.
  public func kind(_ index: Int) -> FileStatus.Kind { FileStatus.Kind(listing.entries[index].mode) }

  /// Bytes of the entry's file.
  public func size(_ index: Int) -> Int64 { listing.entries[index].size }

  /// Permission bits with set-uid, set-gid and sticky.
  public func mode(_ index: Int) -> UInt16 { UInt16(listing.entries[index].mode & 0o7777) }

  /// How many names the entry's file has.
  public func linkCount(_ index: Int) -> UInt64 { listing.entries[index].links }

  /// The entry's name; valid as long as the listing lives.
  public func name(_ index: Int) -> UnsafeRawBufferPointer {
    let entry = listing.entries[index]
    return UnsafeRawBufferPointer(start: listing.text + Int(entry.name), count: Int(entry.name_length))
  }

  /// The target of a symbolic link, else empty; valid as long as the listing lives.
  public func linkTarget(_ index: Int) -> UnsafeRawBufferPointer {
    let entry = listing.entries[index]
    return UnsafeRawBufferPointer(start: listing.text + Int(entry.link), count: Int(entry.link_length))
  }

  /// The numbers that stay the same as long as the entry's content does.
  public func identity(_ index: Int) -> FileIdentity {
    let entry = listing.entries[index]
    return FileIdentity(
      device: entry.device, inode: entry.inode, size: entry.size, mtime: entry.mtime, ctime: entry.ctime,
      mtimeNanoseconds: entry.mtime_ns, ctimeNanoseconds: entry.ctime_ns)
  }

  /// A hash of all entries with their names, inodes, sizes and times: it differs if anything was changed.
  public var fingerprint: UInt64 { stave_listing_fingerprint(&listing) }

  /// Reads the entry, a regular file, from its start into `buffer`: all of it, or as much as there is room for. Also
  /// tells whether it has file capabilities. `directory` is the directory that was listed. Throws a `Failure` if the
  /// file was changed since it was listed.
  public func read(
    _ index: Int, in directory: Directory, into buffer: UnsafeMutableRawBufferPointer
  ) throws -> (count: Int, hasCapability: Bool) {
    var capability: Int32 = 0
    let count = try read(index, directory, buffer, &capability)
    return (count, capability != 0)
  }

  /// As `read`, and does not look for file capabilities.
  public func readAgain(
    _ index: Int, in directory: Directory, into buffer: UnsafeMutableRawBufferPointer
  ) throws -> Int {
    try read(index, directory, buffer, nil)
  }

  private func read(
    _ index: Int, _ directory: Directory, _ buffer: UnsafeMutableRawBufferPointer,
    _ capability: UnsafeMutablePointer<Int32>?
  ) throws -> Int {
    let entry = listing.entries + index
    do {
      return try check("read \(path)/\(text(index))") {
        stave_read_entry(
          directory.file.descriptor, entry, listing.text + Int(entry.pointee.name), buffer.baseAddress, buffer.count,
          capability)
      }
    } catch let error as SystemError where error.code.rawValue == ESTALE {
      throw Failure("read \(path)/\(text(index))", "file changed while it was read")
    }
  }

  /// The file capabilities of the entry, the attribute `security.capability`; nil if it has none.
  public func capability(_ index: Int, in directory: Directory) throws -> [UInt8]? {
    try directory.entryAttribute(name(index), "security.capability")
  }

  /// The entry's name as text.
  public func text(_ index: Int) -> String { String(decoding: name(index), as: UTF8.self) }
}

/// The numbers of a file that stay the same as long as its content does.
public struct FileIdentity: Sendable, Hashable {
  public var device: UInt64
  public var inode: UInt64
  public var size: Int64
  /// Seconds of both times, and their nanoseconds.
  public var mtime: Int64
  public var ctime: Int64
  public var mtimeNanoseconds: UInt32
  public var ctimeNanoseconds: UInt32

  public init(
    device: UInt64, inode: UInt64, size: Int64, mtime: Int64, ctime: Int64, mtimeNanoseconds: UInt32,
    ctimeNanoseconds: UInt32
  ) {
    self.device = device
    self.inode = inode
    self.size = size
    self.mtime = mtime
    self.ctime = ctime
    self.mtimeNanoseconds = mtimeNanoseconds
    self.ctimeNanoseconds = ctimeNanoseconds
  }

  /// The numbers of the file with `status`.
  public init(_ status: FileStatus) {
    self.init(
      device: status.device, inode: status.inode, size: status.size, mtime: status.mtime.seconds,
      ctime: status.ctime.seconds, mtimeNanoseconds: UInt32(truncatingIfNeeded: status.mtime.nanoseconds),
      ctimeNanoseconds: UInt32(truncatingIfNeeded: status.ctime.nanoseconds))
  }
}

extension FileStatus {
  init(_ entry: stave_entry) {
    kind = Kind(entry.mode)
    mode = UInt16(entry.mode & 0o7777)
    uid = entry.uid
    gid = entry.gid
    size = entry.size
    mtime = Timestamp(seconds: entry.mtime, nanoseconds: Int32(truncatingIfNeeded: entry.mtime_ns))
    ctime = Timestamp(seconds: entry.ctime, nanoseconds: Int32(truncatingIfNeeded: entry.ctime_ns))
    device = entry.device
    inode = entry.inode
    linkCount = entry.links
    deviceMajor = entry.major
    deviceMinor = entry.minor
    allocated = entry.blocks &* 512
  }
}
