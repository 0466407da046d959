public import Core

/// One member of a tar archive: its metadata, without its data.
public struct TarEntry: Sendable, Equatable {
  /// What a member is.
  public enum Kind: Sendable, Equatable {
    case regular, directory, symlink, hardLink, characterDevice, blockDevice, fifo
  }

  /// An extended attribute; `name` has its namespace, `user.note`.
  public struct ExtendedAttribute: Sendable, Equatable {
    public var name: String
    public var value: [UInt8]
    public init(_ name: String, _ value: [UInt8]) {
      self.name = name
      self.value = value
    }
  }

  public var path: TreePath
  public var kind: Kind
  /// Permission bits with setuid, setgid and sticky, 0o7777.
  public var mode: UInt16
  public var uid: UInt32
  public var gid: UInt32
  /// Bytes of data as the file has them when unpacked; 0 unless `kind` is `.regular`.
  public var size: Int64
  public var mtime: Timestamp
  /// A symlink's text as it is, a hard link's path in the tree without a leading slash; else empty.
  public var linkTarget: [UInt8]
  /// Of a device node; else 0.
  public var deviceMajor: UInt32
  public var deviceMinor: UInt32
  /// Sorted by name, each name once.
  public var xattrs: [ExtendedAttribute]

  public init(
    path: TreePath, kind: Kind, mode: UInt16, uid: UInt32 = 0, gid: UInt32 = 0, size: Int64 = 0,
    mtime: Timestamp = Timestamp(seconds: 0), linkTarget: [UInt8] = [], deviceMajor: UInt32 = 0,
    deviceMinor: UInt32 = 0, xattrs: [ExtendedAttribute] = []
  ) {
    self.path = path
    self.kind = kind
    self.mode = mode
    self.uid = uid
    self.gid = gid
    self.size = size
    self.mtime = mtime
    self.linkTarget = linkTarget
    self.deviceMajor = deviceMajor
    self.deviceMinor = deviceMinor
    self.xattrs = TarEntry.sorted(xattrs)
  }

  /// `xattrs` in the order of their names' bytes; of two with one name the later stays.
  static func sorted(_ xattrs: [ExtendedAttribute]) -> [ExtendedAttribute] {
    if xattrs.count < 2 { return xattrs }
    var byName: [String: [UInt8]] = [:]
    for xattr: ExtendedAttribute in xattrs { byName[xattr.name] = xattr.value }
    return byName.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      .map { ExtendedAttribute($0.key, $0.value) }
  }
}
