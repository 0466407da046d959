internal import Core
internal import Linux

/// The index of the stack `layers`, top first, as one: what overlayfs would show of them, with whiteouts resolved.
///
/// Its devices are the tars of the layers, the lowest layer's first. If the stack is not `isBottom`, whiteouts and
/// opaque marks stay as far as they hide what layers below the stack have. Throws a `Failure` if an index is damaged.
public func mergedIndex(of layers: [IndexLayer], isBottom: Bool) throws -> IndexTree {
  var merger = IndexMerger(layers, keepsWhiteouts: !isBottom)
  return try merger.run()
}

/// The state of merging: a tree that grows, and directories that wait for their entries.
private struct IndexMerger {
  /// A node of one of the layers.
  private struct Part {
    var layer: Int
    var inode: LayerIndex.Inode
  }

  private struct Key: Hashable {
    var layer: Int
    var inode: UInt64
  }

  /// A name in a merged directory, and what makes it: one node, or directories, top first.
  private struct Slot {
    var name: [UInt8]
    var parts: [Part]
    /// Nothing of lower layers shows here.
    var isClosed: Bool
  }

  private let layers: [IndexLayer]
  private let keepsWhiteouts: Bool
  /// The first device of each layer.
  private var devices: [Int] = []
  private var tree = IndexTree()
  private var files: [Key: IndexTree.NodeID] = [:]
  private var directories: Set<Key> = []
  private var hasImplied = false

  init(_ layers: [IndexLayer], keepsWhiteouts: Bool) {
    self.layers = layers
    self.keepsWhiteouts = keepsWhiteouts
    devices = [Int](repeating: 0, count: layers.count)
    var next = 0
    for layer in layers.indices.reversed() {
      devices[layer] = next
      next += layers[layer].index.devices.count
    }
  }

  mutating func run() throws -> IndexTree {
    let roots = try layers.indices.map { Part(layer: $0, inode: try layers[$0].index.root()) }
    if roots.isEmpty { return tree }
    try tree.setMetadata(IndexTree.root, directoryNode(roots, isClosed: false))
    var pending: [(IndexTree.NodeID, [Part])] = [(IndexTree.root, roots)]
    while let (folder, parts) = pending.popLast() {
      for part: Part in parts {
        guard directories.insert(Key(layer: part.layer, inode: part.inode.number)).inserted else {
          throw Failure("merge indexes", "a directory of a layer has two names")
        }
      }
      for slot: Slot in try slots(parts) {
        if let id = try add(slot, to: folder) { pending.append((id, slot.parts)) }
      }
    }
    if hasImplied {
      var root = tree.node(IndexTree.root)
      root.xattrs = TarEntry.sorted(root.xattrs + [LayerWhiteout.impliedBelowAttribute])
      try tree.setMetadata(IndexTree.root, root)
    }
    return tree
  }

  /// What is in the directory that `parts` make, sorted by name.
  private func slots(_ parts: [Part]) throws -> [Slot] {
    var out: [Slot] = []
    var places: [[UInt8]: Int] = [:]
    for (number, part): (Int, Part) in parts.enumerated() {
      for entry: LayerIndex.Entry in try layers[part.layer].index.entries(part.inode) {
        let place = number == 0 ? nil : places[entry.name]
        if let place, out[place].isClosed { continue }
        let found = Part(layer: part.layer, inode: try layers[part.layer].index.inode(entry.inode))
        let isDirectory = found.inode.kind == .directory
        let isClosed = try !isDirectory || isOpaque(found)
        if let place {
          if isDirectory { out[place].parts.append(found) }
          out[place].isClosed = isClosed
        } else {
          if parts.count > 1 { places[entry.name] = out.count }
          out.append(Slot(name: entry.name, parts: [found], isClosed: isClosed))
        }
      }
    }
    return parts.count == 1 ? out : out.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  private func isOpaque(_ part: Part) throws -> Bool {
    try IndexLayer.isOpaque(layers[part.layer].index.attributes(part.inode))
  }

  /// Puts `slot` into `folder`; returns the node of a directory, which is still empty.
  private mutating func add(_ slot: Slot, to folder: IndexTree.NodeID) throws -> IndexTree.NodeID? {
    let top = slot.parts[0]
    let index = layers[top.layer].index
    if top.inode.kind == .directory {
      let id = try tree.add(directoryNode(slot.parts, isClosed: slot.isClosed))
      try tree.link(id, into: folder, as: slot.name)
      return id
    }
    if top.inode.kind == .characterDevice, index.device(top.inode) == (0, 0), !keepsWhiteouts { return nil }
    let key = Key(layer: top.layer, inode: top.inode.number)
    let hasNames = top.inode.linkCount > 1
    if hasNames, let id = files[key] {
      try tree.link(id, into: folder, as: slot.name)
      return nil
    }
    let node = try index.node(top.inode, attributes: index.attributes(top.inode))
    let extents = node.kind == .regular ? try index.extents(top.inode) : []
    let id = try tree.add(
      node,
      extents: extents.map {
        IndexTree.Extent(
          offset: $0.offset, device: $0.device + devices[top.layer], start: $0.start, length: $0.length)
      })
    try tree.link(id, into: folder, as: slot.name)
    if hasNames { files[key] = id }
    return nil
  }

  /// The metadata of the directory that `parts` make: those of the uppermost one that a member of its tar describes.
  private mutating func directoryNode(_ parts: [Part], isClosed: Bool) throws -> TreeNode {
    var chosen = parts[0]
    var attributes = try layers[chosen.layer].index.attributes(chosen.inode)
    for part: Part in parts.dropFirst() where IndexLayer.isImplied(attributes) {
      chosen = part
      attributes = try layers[part.layer].index.attributes(part.inode)
    }
    let isImplied = IndexLayer.isImplied(attributes)
    attributes.removeAll { LayerWhiteout.isOverlayAttribute($0.name) }
    if keepsWhiteouts {
      if isClosed { attributes.append(LayerWhiteout.opaqueAttribute) }
      if isImplied {
        attributes.append(LayerWhiteout.impliedAttribute)
        hasImplied = true
      }
      attributes = TarEntry.sorted(attributes)
    }
    return try layers[chosen.layer].index.node(chosen.inode, attributes: attributes)
  }
}
