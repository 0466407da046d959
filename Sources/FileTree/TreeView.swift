public import Core
public import Linux

/// A tree of files that is only read: a build context, the merged layers of a stage, nothing at all.
///
/// Paths name nodes themselves: no method follows a symbolic link; `resolve` does, and never leaves the tree.
public protocol TreeView: Sendable {
  /// What the tree is in messages: `the build context`, `stage build`.
  var label: String { get }

  /// The node at `path`, nil if there is none. Components before the last must be directories.
  func entry(_ path: TreePath) throws -> TreeNode?

  /// The entries of the directory `path`, sorted by the bytes of their names. Throws if it is no directory.
  func children(_ path: TreePath) throws -> [TreeChild]

  /// Opens the regular file `path` for reading.
  func open(_ path: TreePath) throws -> FilePart

  /// The line of an ignore file that hides `path`, or nil.
  func exclusion(_ path: TreePath) -> IgnoreLine?
}

/// A named node in a directory.
public struct TreeChild: Sendable, Equatable {
  public var name: [UInt8]
  public var node: TreeNode

  public init(name: [UInt8], node: TreeNode) {
    self.name = name
    self.node = node
  }
}

/// A file, directory, link or special file of a tree: its metadata.
public struct TreeNode: Sendable, Equatable {
  public typealias Kind = FileStatus.Kind

  /// What names the same file on the host: two nodes with equal keys in one view are hard links of each other.
  public struct HardLinkKey: Sendable, Hashable {
    public var device: UInt64
    public var inode: UInt64
  }

  public var kind: Kind
  /// Permission bits with set-uid, set-gid and sticky: 0 ... 07777.
  public var mode: UInt16
  public var uid: UInt32
  public var gid: UInt32
  /// Bytes of a regular file, else 0.
  public var size: Int64
  public var mtime: Timestamp
  /// The text of a symbolic link, else empty.
  public var linkTarget: [UInt8]
  /// Of a device node, else 0.
  public var deviceMajor: UInt32
  public var deviceMinor: UInt32
  /// `user.*` and `security.capability`, sorted by name.
  public var xattrs: [TarEntry.ExtendedAttribute]
  /// Set for a regular file with more than one name.
  public var hardLinkKey: HardLinkKey?
  /// Set for a regular file of the host.
  public var contentKey: FileIdentity?

  public init(
    kind: Kind, mode: UInt16, uid: UInt32 = 0, gid: UInt32 = 0, size: Int64 = 0,
    mtime: Timestamp = Timestamp(seconds: 0), linkTarget: [UInt8] = [], deviceMajor: UInt32 = 0,
    deviceMinor: UInt32 = 0, xattrs: [TarEntry.ExtendedAttribute] = []
  ) {
    self.kind = kind
    self.mode = mode
    self.uid = uid
    self.gid = gid
    self.size = size
    self.mtime = mtime
    self.linkTarget = linkTarget
    self.deviceMajor = deviceMajor
    self.deviceMinor = deviceMinor
    self.xattrs = xattrs
  }

  /// The node that stat(2) describes.
  init(_ status: FileStatus, linkTarget: [UInt8], xattrs: [TarEntry.ExtendedAttribute]) {
    let isRegular = status.kind == .regular
    let isDevice = status.kind == .characterDevice || status.kind == .blockDevice
    self.init(
      kind: status.kind, mode: status.mode, uid: status.uid, gid: status.gid, size: isRegular ? status.size : 0,
      mtime: status.mtime, linkTarget: linkTarget, deviceMajor: isDevice ? status.deviceMajor : 0,
      deviceMinor: isDevice ? status.deviceMinor : 0, xattrs: xattrs)
    if isRegular {
      if status.linkCount > 1 { hardLinkKey = HardLinkKey(device: status.device, inode: status.inode) }
      contentKey = FileIdentity(status)
    }
  }
}

extension TreeView {
  public func exclusion(_ path: TreePath) -> IgnoreLine? { nil }

  /// The place that `path` means when its symbolic links are followed, at most 255 of them, within the tree: absolute
  /// targets start at its root, `..` stops there. The last component is followed if `followLast`. Nil if a component
  /// is missing, or one before the last is no directory.
  public func resolve(_ path: TreePath, followLast: Bool = true) throws -> TreePath? {
    let found = try PathResolution.resolve(path, followLast: followLast, in: label) { try self.entry($0) }
    return found.missing.isEmpty ? found.path : nil
  }

  /// The node that `path` means, links followed; nil if there is none.
  public func node(following path: TreePath) throws -> TreeNode? {
    guard let place = try resolve(path) else { return nil }
    return try entry(place)
  }

  /// All bytes of the file that `path` means, links followed; nil if there is none or it is no regular file.
  /// Throws if it has more than `limit` bytes.
  public func readSmallFile(_ path: TreePath, limit: Int = 1 << 20) throws -> [UInt8]? {
    guard let place = try resolve(path), let node = try entry(place), node.kind == .regular else { return nil }
    return try open(place).readAll(limit: limit)
  }
}

extension TreeView {
  /// The directories that are missing for `path` to be one, outermost first; links are followed, also dangling ones.
  /// Throws a `Failure` if something else is in the way.
  public func missingDirectories(for path: TreePath) throws -> [TreePath] {
    let found = try PathResolution.resolve(path, followLast: true, in: label) { try entry($0) }
    if let node = try entry(found.path), node.kind != .directory {
      throw Failure("make directory \(path)", "\(found.path) is not a directory")
    }
    var missing: [TreePath] = []
    for name in found.missing { missing.append((missing.last ?? found.path).child(name)) }
    if let first = missing.first, try entry(first) != nil {
      throw Failure("make directory \(path)", "\(first) is not a directory")
    }
    return missing
  }
}

/// How symbolic links lead from a path to a place.
enum PathResolution {
  static let maximumLinks = 255

  /// The longest part of the followed path that exists, and the components that don't (none contains a link).
  struct Result {
    var path: TreePath
    var missing: [[UInt8]]
    /// What the path means, existing or not.
    var whole: TreePath { missing.reduce(path) { $0.child($1) } }
  }

  /// Follows `path` through what `lookup` knows. A `..` in a link's target removes a component after it was followed.
  static func resolve(
    _ path: TreePath, followLast: Bool, in label: String, lookup: (TreePath) throws -> TreeNode?
  ) throws -> Result {
    var rest: [[UInt8]] = path.components.reversed().map { Array($0) }
    var at = TreePath.root
    var missing: [[UInt8]] = []
    var links = 0
    while let name = rest.popLast() {
      if name == [46] { continue }
      if name == [46, 46] {
        if missing.popLast() == nil { at = at.parent }
        continue
      }
      if !missing.isEmpty {
        missing.append(name)
        continue
      }
      let next = at.child(name)
      guard let node = try lookup(next) else {
        missing.append(name)
        continue
      }
      if node.kind == .symlink, followLast || !rest.isEmpty {
        links += 1
        guard links <= maximumLinks else {
          throw Failure("resolve \(path) in \(label)", "too many levels of symbolic links")
        }
        if node.linkTarget.first == UInt8(ascii: "/") { at = .root }
        rest += node.linkTarget.split(separator: UInt8(ascii: "/")).reversed().map { Array($0) }
        continue
      }
      if node.kind != .directory, rest.contains(where: { $0 != [46] }) {
        // A file in the way: the rest can't exist below it.
        return Result(path: at, missing: [name] + rest.reversed())
      }
      at = next
    }
    return Result(path: at, missing: missing)
  }
}

/// A tree without files: what `FROM scratch` starts from. Its root is 0755, root's.
public struct EmptyTree: TreeView {
  public var label: String { "an empty tree" }

  public init() {}

  public func entry(_ path: TreePath) throws -> TreeNode? {
    path.isRoot ? TreeNode(kind: .directory, mode: 0o755) : nil
  }

  public func children(_ path: TreePath) throws -> [TreeChild] {
    if path.isRoot { return [] }
    throw SystemError(.noEntry, "open \(path)")
  }

  public func open(_ path: TreePath) throws -> FilePart { throw SystemError(.noEntry, "open \(path)") }
}
