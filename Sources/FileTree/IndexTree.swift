internal import Core
internal import Linux

/// The content of a layer index: the nodes of one layer, or of a whole stack, with the places of their data.
///
/// An arena: nodes are added, then given names in directories; a node with several names is a hard link. Whiteouts are
/// 0/0 character devices, opaque directories have the attribute `trusted.overlay.opaque` with the value `y`, as
/// overlayfs wants them in a lower layer. About 90 bytes a node beside its name, so that a million fit into memory.
public struct IndexTree: Sendable {
  /// Names a node of one tree.
  public struct NodeID: Sendable, Hashable {
    let index: UInt32
  }

  /// A piece of a regular file's data. What no extent covers is a hole.
  public struct Extent: Sendable, Equatable {
    /// Where it lies in the file.
    public var offset: Int64
    /// The device that has it: 0 for the first tar that the index is made for, 1 for the second, ...
    public var device: Int
    /// Where it begins in that device, in bytes.
    public var start: Int64
    public var length: Int64

    public init(offset: Int64, device: Int, start: Int64, length: Int64) {
      self.offset = offset
      self.device = device
      self.start = start
      self.length = length
    }
  }

  /// The root directory, which every tree has.
  public static let root = NodeID(index: 0)

  /// One node. Its fields fill it without padding, so that a checksum of its bytes is one of its values.
  struct Record {
    /// Bytes of a regular file.
    var size: Int64 = 0
    /// Of a file in one piece: where its data begin in its device. Of a device node: its number as Linux writes it.
    /// Of a directory: the one that holds it.
    var start: Int64 = 0
    var seconds: Int64 = 0
    var nanoseconds: UInt32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    /// Names of the node; of a directory, directories in it.
    var links: UInt32 = 0
    /// Where the attributes begin in `bytes`, 0 if there are none.
    var xattrs: UInt32 = 0
    /// Of a directory its last edge, of a file in pieces the first in `pieces`, of a symbolic link its text in `bytes`.
    var head = IndexTree.none
    /// Of a directory the number of edges (also without a node), of a file its pieces, of a symbolic link its length.
    var count: UInt32 = 0
    /// Type and permissions as stat(2) has them.
    var mode: UInt16 = 0
    /// The device of a file in one piece.
    var device: UInt16 = 0
  }

  /// A name in a directory. What was removed stays as an edge to `none`, so that no list is ever searched.
  struct Edge {
    var parent: UInt32
    var node: UInt32
    /// Where the name stands in `bytes`: its length in one byte, then it.
    var name: UInt32
    /// The edge of the same directory that was made before this one.
    var next: UInt32
  }

  /// No node, no edge.
  static let none = UInt32.max

  var records: ContiguousArray<Record> = []
  var edges: ContiguousArray<Edge> = []
  var pieces: ContiguousArray<Extent> = []
  /// Names, texts of links and encoded attributes. Byte 0 is unused: offset 0 means none.
  var bytes: ContiguousArray<UInt8> = [0]

  /// A tree that has only its root: by default a directory 0755 of root and 1970.
  public init() {
    var root = Record()
    root.mode = ErofsFormat.directoryType | 0o755
    records.append(root)
  }

  // MARK: Adding

  /// Adds `node`, which has no name yet. `extents` are the pieces of a regular file: ascending, apart, within its size.
  /// Throws a `Failure` if the format can't hold it.
  public mutating func add(_ node: TreeNode, extents: [Extent] = []) throws -> NodeID {
    guard records.count < Int(IndexTree.none) else { throw IndexTree.tooLarge }
    var record = Record()
    record.mode = ErofsFormat.type(of: node.kind) | node.mode & 0o7777
    IndexTree.set(&record, node)
    switch node.kind {
    case .regular: try setData(&record, size: node.size, extents)
    case .symlink:
      guard (1...ErofsFormat.maximumLinkTarget).contains(node.linkTarget.count) else {
        throw Failure("index layer", "the text of a symbolic link is empty or longer than 4095 bytes")
      }
      record.head = try store(node.linkTarget)
      record.count = UInt32(node.linkTarget.count)
    case .characterDevice, .blockDevice:
      record.start = try ErofsFormat.deviceNumber(node.deviceMajor, node.deviceMinor)
    case .directory, .fifo, .socket: break
    }
    record.xattrs = try storeAttributes(node.xattrs)
    records.append(record)
    return NodeID(index: UInt32(records.count - 1))
  }

  /// Gives `node` the name `name` in `directory`, where nothing has it yet. A directory may have one name only.
  public mutating func link(_ node: NodeID, into directory: NodeID, as name: some Collection<UInt8>) throws {
    guard edges.count < Int(IndexTree.none) else { throw IndexTree.tooLarge }
    guard name.count <= ErofsFormat.maximumName else {
      throw Failure("index layer", "the name \(String(decoding: name, as: UTF8.self)) is longer than 255 bytes")
    }
    let start = try position(name.count + 1)
    bytes.append(UInt8(name.count))
    bytes.append(contentsOf: name)
    edges.append(
      Edge(
        parent: directory.index, node: IndexTree.none, name: start, next: records[Int(directory.index)].head))
    records[Int(directory.index)].head = UInt32(edges.count - 1)
    records[Int(directory.index)].count += 1
    attach(node, edge: edges.count - 1)
  }

  /// Sets mode, owner, time and attributes of `id` to those of `node`, whose kind is the same; its data stay.
  public mutating func setMetadata(_ id: NodeID, _ node: TreeNode) throws {
    let xattrs = try storeAttributes(node.xattrs)
    records[Int(id.index)].mode = ErofsFormat.type(of: node.kind) | node.mode & 0o7777
    records[Int(id.index)].xattrs = xattrs
    IndexTree.set(&records[Int(id.index)], node)
  }

  /// Lets the name `edge`, which has no node, name `node`.
  mutating func attach(_ node: NodeID, edge: Int) {
    edges[edge].node = node.index
    if records[Int(node.index)].isDirectory {
      records[Int(node.index)].start = Int64(edges[edge].parent)
      records[Int(edges[edge].parent)].links += 1
    } else {
      records[Int(node.index)].links += 1
    }
  }

  /// Takes the node of the name `edge` away.
  mutating func detach(edge: Int) {
    let node = Int(edges[edge].node)
    edges[edge].node = IndexTree.none
    if records[node].isDirectory {
      records[Int(edges[edge].parent)].links -= 1
    } else {
      records[node].links -= 1
    }
  }

  /// The directory that holds `directory`; the root holds itself.
  func parent(of directory: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: records[Int(directory)].start) }

  private static func set(_ record: inout Record, _ node: TreeNode) {
    record.uid = node.uid
    record.gid = node.gid
    record.seconds = node.mtime.seconds
    record.nanoseconds = UInt32(clamping: node.mtime.nanoseconds)
  }

  private mutating func setData(_ record: inout Record, size: Int64, _ extents: [Extent]) throws {
    record.size = size
    if size == 0 { return }
    if extents.count == 1, extents[0].offset == 0, extents[0].length == size {
      guard let device = UInt16(exactly: extents[0].device) else { throw IndexTree.tooLarge }
      record.start = extents[0].start
      record.device = device
      record.count = 1
      return
    }
    guard pieces.count + extents.count < Int(IndexTree.none) else { throw IndexTree.tooLarge }
    record.head = UInt32(pieces.count)
    record.count = UInt32(extents.count)
    pieces.append(contentsOf: extents)
  }

  private mutating func storeAttributes(_ xattrs: [TarEntry.ExtendedAttribute]) throws -> UInt32 {
    if xattrs.isEmpty { return 0 }
    return try store(ErofsXattrs.encode(xattrs))
  }

  private mutating func store(_ new: [UInt8]) throws -> UInt32 {
    let start = try position(new.count)
    bytes.append(contentsOf: new)
    return start
  }

  /// Where the next `count` bytes will stand.
  private func position(_ count: Int) throws -> UInt32 {
    guard bytes.count + count < Int(IndexTree.none) else { throw IndexTree.tooLarge }
    return UInt32(bytes.count)
  }

  static var tooLarge: Failure { Failure("index layer", "it has more entries than an index can hold") }
}

extension IndexTree.Record {
  var isDirectory: Bool { mode & ErofsFormat.typeMask == ErofsFormat.directoryType }
  var isRegular: Bool { mode & ErofsFormat.typeMask == ErofsFormat.regularType }
  var isSymlink: Bool { mode & ErofsFormat.typeMask == ErofsFormat.symlinkType }
  /// A 0/0 character device, which hides what lower layers have under its names.
  var isWhiteout: Bool { mode & ErofsFormat.typeMask == ErofsFormat.characterType && start == 0 }
  /// Whether its data are in several pieces, or none though it has a size: one hole.
  var isSparse: Bool { isRegular && size > 0 && (head != IndexTree.none || count != 1) }
}
