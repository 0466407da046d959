internal import Core
internal import FileTree
internal import Linux

/// Merged indexes: `stacks/<identity>/index` is one index of several layers, `layers` beside it names them.
extension Store {
  /// The path of the merged index of `layers`, topmost first; it is made where it is missing or damaged. `stack` names
  /// it: the members, and those that they hide.
  func stackIndex(_ layers: [IndexedLayer], of stack: [Digest], isBottom: Bool) throws -> String {
    let diffIDs = layers.map(\.diffID)
    let identity = Store.identity(stack, isBottom: isBottom)
    let path = paths.stackIndex(identity)
    if openLayers.isSound(path) { return path }
    if try soundStack(path, diffIDs)?.tarPaths.count == layers.count {
      openLayers.noteSound(path)
      return path
    }
    try HostPath.makeDirectories(paths.stack(identity), mode: 0o700)
    let lock = try FileLock.acquire("\(paths.stack(identity))/lock", .exclusive)
    defer { lock.release() }
    if try soundStack(path, diffIDs)?.tarPaths.count != layers.count {
      // First who they are, so that no merged index outlives its layers.
      try replace(
        paths.stackLayers(identity), with: Array(diffIDs.map { "\($0.encoded)\n" }.joined().utf8), durable: false)
      let tree = try mergedIndex(of: layers.map(\.layer), isBottom: isBottom)
      try writeIndex(tree, devices: layers.reversed().flatMap(\.layer.index.devices), to: path)
    }
    openLayers.noteSound(path)
    return path
  }

  /// The sound index of the whole stack `diffIDs`, topmost first, each layer once, with its path, if it was made
  /// before.
  func knownStack(_ diffIDs: [Digest]) throws -> (path: String, layer: IndexLayer)? {
    let path = paths.stackIndex(Store.identity(diffIDs, isBottom: true))
    return try soundStack(path, diffIDs).map { (path, $0) }
  }

  /// The merged index at `path` of the stack `diffIDs`, topmost first, down to a layer that hides all below it; nil if
  /// there is none or one that is damaged or does not fit.
  private func soundStack(_ path: String, _ diffIDs: [Digest]) throws -> IndexLayer? {
    guard let index = try soundIndex(path) else { return nil }
    let tars = diffIDs.prefix(index.devices.count).reversed().map { paths.tar($0) }
    return try Store.unlessDamaged { try IndexLayer(index, tars: tars) }
  }

  /// Removes the merged indexes that have one of `diffIDs` in them, and those without a list of layers that were begun
  /// before `oldestLease`. Called before the layers go.
  func removeStacks(with diffIDs: Set<Digest>, _ oldestLease: Timestamp?) throws {
    if diffIDs.isEmpty { return }
    guard try HostPath.status(paths.stacks) != nil else { return }
    for name in try Directory(paths.stacks).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let members = try? HostPath.read("\(paths.stacks)/\(name)/layers", limit: 1 << 20)
      let named = String(decoding: members ?? [], as: UTF8.self).split(separator: "\n")
      // One without a list is being made, or was left by a killed command.
      let begun = try HostPath.status("\(paths.stacks)/\(name)")?.mtime
      if members == nil, let oldestLease, let begun, begun >= oldestLease { continue }
      let isDead =
        members == nil || named.contains { line in (try? Digest("sha256:\(line)")).map(diffIDs.contains) ?? true }
      if isDead { try HostPath.removeTree("\(paths.stacks)/\(name)") }
    }
  }

  /// What names a merged index: its layers in their order, and whether anything lies below.
  static func identity(_ diffIDs: [Digest], isBottom: Bool) -> Digest {
    .sha256("stave stack v1 \(isBottom)\n" + diffIDs.map { "\($0.text)\n" }.joined())
  }
}
