public import Core
public import Linux
internal import Synchronization

/// A stack of layers seen as one tree, as overlayfs would show them, without mounting and without root. The layers may
/// be of different forms.
public struct MergedTree: TreeView {
  public let label: String
  /// Top first.
  private let layers: [any LayerView]
  private let visible = Visible()

  /// The merged view of `layers`, top first; of none, an empty tree.
  public init(_ layers: [any LayerView], label: String = "the image") {
    self.layers = layers
    self.label = label
  }

  /// The merged view of unpacked layers, top first.
  public init(trees: [Directory], label: String = "the image") {
    self.init(trees.map { TreeLayer($0) }, label: label)
  }

  public func entry(_ path: TreePath) throws -> TreeNode? {
    if layers.isEmpty { return path.isRoot ? TreeNode(kind: .directory, mode: 0o755) : nil }
    return try find(path).map { try node($0) }
  }

  public func children(_ path: TreePath) throws -> [TreeChild] {
    guard let found = try find(path) else { throw SystemError(.noEntry, "open \(path) in \(label)") }
    if let top = found.first, top.entry.kind != .directory {
      throw SystemError(.notDirectory, "open \(path) in \(label)")
    }
    var out: [TreeChild] = []
    if found.count == 1 {
      for (name, entry) in try layers[found[0].layer].children(of: found[0].entry) where !entry.isWhiteout {
        out.append(TreeChild(name: name, node: try node([Node(layer: found[0].layer, entry: entry)])))
      }
      return out
    }
    var decided: Set<[UInt8]> = []
    for directory: Node in found {
      for (name, entry) in try layers[directory.layer].children(of: directory.entry)
      where decided.insert(name).inserted && !entry.isWhiteout {
        let top = Node(layer: directory.layer, entry: entry)
        out.append(TreeChild(name: name, node: try node(isImplied(top) ? merge(name, of: found) : [top])))
      }
    }
    return out.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  public func open(_ path: TreePath) throws -> FilePart {
    guard let top = try find(path)?.first else { throw SystemError(.noEntry, "open \(path) in \(label)") }
    guard top.entry.kind == .regular else { throw SystemError(.invalid, "open \(path) in \(label)") }
    return try layers[top.layer].open(top.entry)
  }

  /// An entry of one of the layers.
  private struct Node {
    var layer: Int
    var entry: LayerEntry
  }

  /// What makes the node at `path`, top first: one entry, or for a directory all that are merged. Nil if there is none.
  private func find(_ path: TreePath) throws -> [Node]? {
    var found = try (0..<visible.count(layers)).map { Node(layer: $0, entry: try layers[$0].root()) }
    for name: ArraySlice<UInt8> in path.components {
      if found.first?.entry.kind != .directory { return nil }
      found = try merge(Array(name), of: found)
      if found.isEmpty { return nil }
    }
    return found
  }

  private func merge(_ name: [UInt8], of directories: [Node]) throws -> [Node] {
    var found: [Node] = []
    for directory: Node in directories {
      let layer = layers[directory.layer]
      guard let entry = try layer.lookup(name, in: directory.entry) else { continue }
      if entry.isWhiteout { break }
      guard entry.kind == .directory else {
        if found.isEmpty { found.append(Node(layer: directory.layer, entry: entry)) }
        break
      }
      found.append(Node(layer: directory.layer, entry: entry))
      if try layer.isOpaque(entry) { break }
    }
    return found
  }

  private func isImplied(_ node: Node) throws -> Bool {
    try node.entry.kind == .directory && layers[node.layer].isImplied(node.entry)
  }

  /// The metadata of what `nodes` make: for directories those of the uppermost one that its layer describes.
  private func node(_ nodes: [Node]) throws -> TreeNode {
    let found = try nodes.first { try !isImplied($0) } ?? nodes[0]
    var node = try layers[found.layer].node(found.entry)
    // Numbers of inodes are the layer's own; the host's device numbers are far below.
    if case .inode = found.entry.place { node.hardLinkKey?.device = UInt64.max - UInt64(found.layer) }
    return node
  }
}

/// How many layers of a stack are not hidden by one above; found out once.
private final class Visible: Sendable {
  private let known = Mutex<Int?>(nil)

  func count(_ layers: [any LayerView]) throws -> Int {
    try known.withLock { known in
      if let known { return known }
      let hiding = try layers.firstIndex { try $0.hidesAllBelow }
      let count = hiding.map { $0 + 1 } ?? layers.count
      known = count
      return count
    }
  }
}
