internal import Core
internal import Linux

/// Makes the index of one layer from the members of its tar, in their order, while the tar is written or read.
///
/// The rules are those of unpacking a layer (`unpackLayer`): a member replaces what an earlier one left at its path,
/// except that directories unite; missing parents are made 0755, of root, of 1970; `.wh.name` hides what lower layers
/// have, and beside a directory `name` of this layer it makes that opaque, in any order; `.wh..wh..opq` makes
/// its directory opaque (OCI image-spec 1.1, layer.md, Whiteouts). Symbolic links in the way lead within the layer.
/// Attributes that the kernel would not set are left out. Not safe for use from two threads at once.
public final class LayerIndexBuilder {
  /// Why a layer can't be served from its tar and has to be unpacked.
  public struct NeedsTree: Error, Sendable, Equatable, CustomStringConvertible {
    /// `/a is a hard link to /b of a lower layer`.
    public let reason: String
    public init(reason: String) { self.reason = reason }
    public var description: String { reason }
  }

  var tree = IndexTree()
  var names = IndexNames()
  /// The directory that was looked up last: members of one directory stand together.
  var lastDirectory: (path: [UInt8], node: UInt32) = ([], 0)
  /// Directories that were made because something in them is there, and have had no member of their own since.
  var impliedCount = 0
  /// The edges that a whiteout of this layer is for: a directory that is made there, after whatever, is opaque.
  var hidden: Set<Int> = []
  private var needsTree: NeedsTree?

  public init() {}

  /// Adds a member. Throws a `Failure` if the layer could not be unpacked either, or if no index can hold it.
  public func add(_ member: TarMember) throws {
    let entry = member.entry
    let path = entry.path
    guard path.bytes.count <= 4095 else {
      throw Failure("index layer", "\(path) is longer than 4095 bytes")
    }
    if LayerWhiteout.hasReservedComponent(path) { return }
    switch LayerWhiteout(path) {
    case .opaque: return try markOpaque(try directory(path.bytes.dropName))
    case .removal(let hidden): return try whiteOut(hidden)
    case nil: break
    }
    switch entry.kind {
    case .directory: try addDirectory(entry)
    case .hardLink: try addHardLink(entry)
    case .regular:
      let extents = LayerIndexBuilder.extents(member)
      if ErofsChunks(size: entry.size, extents) == nil {
        require("the holes of \(path) are not aligned")
        return try put(entry, [])
      }
      try put(entry, extents)
    case .symlink, .characterDevice, .blockDevice, .fifo: try put(entry, [])
    }
  }

  /// The index of all members; its data are in device 0. `tarSize` is the size of the whole tar. The builder is used
  /// up. Throws `NeedsTree` if the layer has to be unpacked to be used.
  public func finish(tarSize: Int64) throws -> IndexTree {
    names = IndexNames()
    guard ErofsFormat.blocks(tarSize) != nil else {
      throw NeedsTree(reason: "a tar of 2 TiB is too large for an index")
    }
    if let needsTree { throw needsTree }
    if impliedCount > 0 { try mark(IndexTree.root, LayerWhiteout.impliedBelowAttribute) }
    defer { tree = IndexTree() }
    return tree
  }

  private func require(_ reason: String) {
    if needsTree == nil { needsTree = NeedsTree(reason: reason) }
  }

  private static func extents(_ member: TarMember) -> [IndexTree.Extent] {
    guard let extents = member.extents else {
      if member.entry.size == 0 { return [] }
      return [IndexTree.Extent(offset: 0, device: 0, start: member.dataOffset, length: member.entry.size)]
    }
    var start = member.dataOffset
    return extents.map { extent in
      defer { start += extent.length }
      return IndexTree.Extent(offset: extent.offset, device: 0, start: start, length: extent.length)
    }
  }

  // MARK: Members

  /// Makes `entry`, no directory, at its path, in place of what is there.
  private func put(_ entry: TarEntry, _ extents: [IndexTree.Extent]) throws {
    let parent = try directory(entry.path.bytes.dropName)
    let node = try tree.add(TreeNode(entry), extents: extents)
    try name(node, entry.path.name, in: parent)
  }

  private func addDirectory(_ entry: TarEntry) throws {
    var new = TreeNode(entry)
    if entry.path.isRoot { return try unite(IndexTree.root, new) }
    let parent = try directory(entry.path.bytes.dropName)
    if let edge = names.edge(entry.path.name, in: parent, of: tree), tree.edges[edge].node != IndexTree.none {
      let old = IndexTree.NodeID(index: tree.edges[edge].node)
      let record = tree.records[Int(old.index)]
      if record.isDirectory { return try unite(old, new) }
      if record.isWhiteout || hidden.contains(edge) {
        new.xattrs = TarEntry.sorted(new.xattrs + [LayerWhiteout.opaqueAttribute])
      }
    }
    try name(try tree.add(new), entry.path.name, in: parent)
  }

  /// A directory that comes again: the later metadata count, attributes are added.
  private func unite(_ old: IndexTree.NodeID, _ new: TreeNode) throws {
    var new = new
    var kept = tree.node(old).xattrs
    if let implied = kept.firstIndex(of: LayerWhiteout.impliedAttribute) {
      kept.remove(at: implied)
      impliedCount -= 1
    }
    new.xattrs = TarEntry.sorted(kept + new.xattrs)
    try tree.setMetadata(old, new)
  }

  private func addHardLink(_ entry: TarEntry) throws {
    guard let target = TreePath(strict: entry.linkTarget), target != entry.path, !target.isRoot else {
      throw Failure("index layer", "\(entry.path) is a hard link to itself")
    }
    guard let edge = try find(target) else {
      return require("\(entry.path) is a hard link to \(target) of a lower layer")
    }
    let node = IndexTree.NodeID(index: tree.edges[edge].node)
    let record = tree.records[Int(node.index)]
    guard !record.isWhiteout else {
      throw Failure("index layer", "\(entry.path) is a hard link to \(target), which does not exist")
    }
    guard !record.isDirectory else {
      throw Failure("index layer", "\(entry.path) is a hard link to the directory \(target)")
    }
    let parent = try directory(entry.path.bytes.dropName)
    try clear(entry.path.name, in: parent)
    guard tree.edges[edge].node == node.index else {
      throw Failure("index layer", "\(entry.path) is a hard link to \(target), which it replaces")
    }
    try name(node, entry.path.name, in: parent)
  }

  // MARK: Whiteouts

  private func whiteOut(_ path: TreePath) throws {
    if let edge = try find(path) {
      let node = tree.edges[edge].node
      hidden.insert(edge)
      if tree.records[Int(node)].isDirectory { try markOpaque(node) }
      return
    }
    let parent = try directory(path.bytes.dropName)
    try name(try tree.add(TreeNode(kind: .characterDevice, mode: 0)), path.name, in: parent)
    if let edge = names.edge(path.name, in: parent, of: tree) { hidden.insert(edge) }
  }

  /// Hides what lower layers have in `directory`.
  func markOpaque(_ directory: UInt32) throws {
    try mark(IndexTree.NodeID(index: directory), LayerWhiteout.opaqueAttribute)
  }

  private func mark(_ directory: IndexTree.NodeID, _ attribute: TarEntry.ExtendedAttribute) throws {
    var node = tree.node(directory)
    node.xattrs = TarEntry.sorted(node.xattrs + [attribute])
    try tree.setMetadata(directory, node)
  }
}

extension TreeNode {
  /// What unpacking `entry`, no hard link, makes.
  init(_ entry: TarEntry) {
    let kind: Kind =
      switch entry.kind {
      case .regular, .hardLink: .regular
      case .directory: .directory
      case .symlink: .symlink
      case .characterDevice: .characterDevice
      case .blockDevice: .blockDevice
      case .fifo: .fifo
      }
    // A symbolic link has no permissions of its own.
    self.init(
      kind: kind, mode: kind == .symlink ? 0o777 : entry.mode, uid: entry.uid, gid: entry.gid, size: entry.size,
      mtime: entry.mtime, linkTarget: kind == .symlink ? entry.linkTarget : [], deviceMajor: entry.deviceMajor,
      deviceMinor: entry.deviceMinor,
      xattrs: entry.xattrs.isEmpty ? [] : entry.xattrs.filter { ErofsXattrs.isKept($0, kind) })
  }
}
