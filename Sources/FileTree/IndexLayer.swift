internal import Core
internal import Linux
internal import Synchronization

/// A layer that its index describes, whose data lie in its tar: nothing is unpacked or mounted.
public struct IndexLayer: LayerView {
  public let index: LayerIndex
  public let hidesAllBelow: Bool
  /// Whether some directories have no member of their own in the tar.
  public let hasImpliedDirectories: Bool
  /// The tars in the order of the index's device table.
  private let tars: [LazyFile]
  /// Their paths.
  public var tarPaths: [String] { tars.map(\.path) }

  /// `tars` are paths, opened when data are read. Throws a `Failure` if they are not as many and as large as the index
  /// says.
  public init(_ index: LayerIndex, tars: [String]) throws {
    guard index.devices.count == tars.count else {
      throw index.image.damaged("it is made for \(index.devices.count) tars, not \(tars.count)")
    }
    for (size, tar) in zip(index.devices, tars) {
      guard let found = try HostPath.status(tar)?.size, found <= size, size - found < ErofsFormat.blockSize else {
        throw index.image.damaged("\(tar) has not the size that it says")
      }
    }
    self.index = index
    self.tars = tars.map { LazyFile($0) }
    let attributes = try index.attributes(index.root())
    hidesAllBelow = IndexLayer.isOpaque(attributes)
    hasImpliedDirectories = attributes.contains(LayerWhiteout.impliedBelowAttribute)
  }

  public func root() throws -> LayerEntry { entry(try index.root()) }

  public func lookup(_ name: [UInt8], in directory: LayerEntry) throws -> LayerEntry? {
    guard let found = try index.lookup(name, in: inode(directory)) else { return nil }
    return try entry(found)
  }

  public func children(of directory: LayerEntry) throws -> [(name: [UInt8], entry: LayerEntry)] {
    try index.entries(inode(directory)).map { ($0.name, try entry($0)) }
  }

  public func isOpaque(_ directory: LayerEntry) throws -> Bool {
    try IndexLayer.isOpaque(index.attributes(inode(directory)))
  }

  public func isImplied(_ directory: LayerEntry) throws -> Bool {
    guard hasImpliedDirectories else { return false }
    return try IndexLayer.isImplied(index.attributes(inode(directory)))
  }

  public func node(_ entry: LayerEntry) throws -> TreeNode {
    let inode = try inode(entry)
    let attributes = inode.kind == .regular || inode.kind == .directory ? try index.attributes(inode) : []
    return try index.node(inode, attributes: attributes.filter { HostNode.belongsIntoLayer($0.name) })
  }

  public func open(_ entry: LayerEntry) throws -> FilePart {
    let inode = try inode(entry)
    let extents = try index.extents(inode)
    let device = extents.first?.device ?? 0
    guard tars.indices.contains(device) else { throw index.image.damaged("it has no tars") }
    guard extents.allSatisfy({ $0.device == device }) else {
      throw index.image.damaged("inode \(inode.number) lies in several tars")
    }
    return FilePart(
      try tars[device].open(), length: inode.size,
      pieces: extents.map { FilePart.Piece(offset: $0.offset, position: $0.start, length: $0.length) })
  }

  static func isOpaque(_ attributes: [TarEntry.ExtendedAttribute]) -> Bool {
    attributes.contains { LayerEntry.opaqueAttributes.contains($0.name) && $0.value == [UInt8(ascii: "y")] }
  }

  static func isImplied(_ attributes: [TarEntry.ExtendedAttribute]) -> Bool {
    attributes.contains(LayerWhiteout.impliedAttribute)
  }

  /// The inode of an entry of this layer.
  func inode(_ entry: LayerEntry) throws -> LayerIndex.Inode {
    guard case .inode(let number) = entry.place else { throw index.image.damaged("it is asked for a file of another") }
    return try index.inode(number)
  }

  private func entry(_ inode: LayerIndex.Inode) -> LayerEntry {
    let isWhiteout = inode.kind == .characterDevice && index.device(inode) == (0, 0)
    return LayerEntry(kind: inode.kind, isWhiteout: isWhiteout, place: .inode(inode.number))
  }

  /// An entry as its directory says; only a device's inode is read at once.
  private func entry(_ found: LayerIndex.Entry) throws -> LayerEntry {
    if found.kind == .characterDevice { return entry(try index.inode(found.inode)) }
    return LayerEntry(kind: found.kind, isWhiteout: false, place: .inode(found.inode))
  }
}

/// A file that is opened when it is first needed.
private final class LazyFile: Sendable {
  let path: String
  private let file = Mutex<OpenFile?>(nil)

  init(_ path: String) { self.path = path }

  func open() throws -> OpenFile {
    try file.withLock { file in
      if let file { return file }
      let opened = try OpenFile(path)
      file = opened
      return opened
    }
  }
}
