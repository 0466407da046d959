public import Core
internal import CLinux
internal import Glibc

/// What stat(2) tells of a file.
public struct FileStatus: Sendable, Equatable {
  public enum Kind: Sendable, Equatable { case regular, directory, symlink, characterDevice, blockDevice, fifo, socket }

  public var kind: Kind
  /// Permission bits with set-uid, set-gid and sticky: 0 ... 07777.
  public var mode: UInt16
  public var uid: UInt32
  public var gid: UInt32
  /// Bytes.
  public var size: Int64
  public var mtime: Timestamp
  public var ctime: Timestamp
  public var device: UInt64
  public var inode: UInt64
  public var linkCount: UInt64
  /// Of a device node.
  public var deviceMajor: UInt32
  public var deviceMinor: UInt32
  /// Space allocated, in bytes.
  public var allocated: Int64

  init(_ s: stat) {
    kind = Kind(s.st_mode)
    mode = UInt16(s.st_mode & 0o7777)
    uid = s.st_uid
    gid = s.st_gid
    size = Int64(s.st_size)
    mtime = Timestamp(seconds: Int64(s.st_mtim.tv_sec), nanoseconds: Int32(s.st_mtim.tv_nsec))
    ctime = Timestamp(seconds: Int64(s.st_ctim.tv_sec), nanoseconds: Int32(s.st_ctim.tv_nsec))
    device = UInt64(s.st_dev)
    inode = UInt64(s.st_ino)
    linkCount = UInt64(s.st_nlink)
    deviceMajor = stave_major(UInt64(s.st_rdev))
    deviceMinor = stave_minor(UInt64(s.st_rdev))
    allocated = Int64(s.st_blocks) * 512
  }
}

extension FileStatus.Kind {
  /// The kind in the mode bits of stat(2).
  init(_ mode: UInt32) {
    self =
      switch mode & S_IFMT {
      case S_IFDIR: .directory
      case S_IFLNK: .symlink
      case S_IFCHR: .characterDevice
      case S_IFBLK: .blockDevice
      case S_IFIFO: .fifo
      case S_IFSOCK: .socket
      default: .regular
      }
  }
}
