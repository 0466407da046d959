public import Core
public import Linux

/// Unpacked layers seen as one tree, as overlayfs would show them, without mounting.
///
/// Whiteouts are character devices 0/0; a directory is opaque with `trusted.overlay.opaque` or `user.overlay.opaque`
/// `y` (Documentation/filesystems/overlayfs.rst).
public struct OverlayTree: TreeView {
  public let label: String
  /// Top first.
  private let layers: [Directory]

  /// The merged view of `layers`, top first; of none, an empty tree.
  public init(_ layers: [Directory], label: String = "the image") {
    self.layers = layers
    self.label = label
  }

  public func entry(_ path: TreePath) throws -> TreeNode? {
    guard let found = try find(path) else { return nil }
    guard let top = found.layers.first else { return path.isRoot ? TreeNode(kind: .directory, mode: 0o755) : nil }
    return try HostNode.read(found.status ?? layers[top].file.status(), path, in: layers[top], owner: .asIs)
  }

  public func children(_ path: TreePath) throws -> [TreeChild] {
    guard let found = try find(path) else { throw SystemError(.noEntry, "open \(path) in \(label)") }
    if let status = found.status, status.kind != .directory {
      throw SystemError(.notDirectory, "open \(path) in \(label)")
    }
    var decided: Set<[UInt8]> = []
    var out: [TreeChild] = []
    for layer: Int in found.layers {
      let inner = path.isRoot ? layers[layer] : try layers[layer].directory(path)
      for name: [UInt8] in try inner.entries() where decided.insert(name).inserted {
        guard let status = try HostNode.status(name, in: inner), !isWhiteout(status) else { continue }
        out.append(
          TreeChild(name: name, node: try HostNode.read(status, TreePath.root.child(name), in: inner, owner: .asIs)))
      }
    }
    if found.layers.count > 1 { out.sort { $0.name.lexicographicallyPrecedes($1.name) } }
    return out
  }

  public func open(_ path: TreePath) throws -> OpenFile {
    guard let found = try find(path), let top = found.layers.first else {
      throw SystemError(.noEntry, "open \(path) in \(label)")
    }
    return try layers[top].open(path)
  }

  /// A node's status (nil for the root) and the layers that make it: one, or for a directory all that are merged.
  private struct Found {
    var status: FileStatus?
    var layers: [Int]
  }

  private func find(_ path: TreePath) throws -> Found? {
    var found = Found(status: nil, layers: Array(layers.indices))
    var at = TreePath.root
    for name: ArraySlice<UInt8> in path.components {
      if let status = found.status, status.kind != .directory { return nil }
      at = at.child(name)
      guard let next = try merge(at, from: found.layers) else { return nil }
      found = next
    }
    return found
  }

  private func merge(_ path: TreePath, from candidates: [Int]) throws -> Found? {
    var found: Found?
    for layer: Int in candidates {
      guard let status = try layers[layer].status(path) else { continue }
      if isWhiteout(status) { break }
      guard status.kind == .directory else {
        if found == nil { found = Found(status: status, layers: [layer]) }
        break
      }
      if found == nil { found = Found(status: status, layers: []) }
      // Set in the line above.
      // swift-format-ignore: NeverForceUnwrap
      found!.layers.append(layer)
      if try isOpaque(path, layer) { break }
    }
    return found
  }

  private func isWhiteout(_ status: FileStatus) -> Bool {
    status.kind == .characterDevice && status.deviceMajor == 0 && status.deviceMinor == 0
  }

  private func isOpaque(_ path: TreePath, _ layer: Int) throws -> Bool {
    for name in try layers[layer].entryAttributeNames(path)
    where name == "trusted.overlay.opaque" || name == "user.overlay.opaque" {
      if try layers[layer].attribute(path, name) == [UInt8(ascii: "y")] { return true }
    }
    return false
  }
}
