internal import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Store

/// A WORKDIR: a layer with the directory and its missing parents. One that exists gives an empty layer, as BuildKit's.
struct DirectoryStep: Sendable {
  let executor: StepExecutor
  let vertex: Vertex
  let op: Op.MakeDirectory

  func run(_ base: LayerStack, keys: StepKeys) throws -> LayerStack {
    let started = Machine.now()
    let view = try executor.view(base)
    let owner = try UserLookup(in: view).processUser(op.user)
    let missing = try missingDirectories(view)
    let writer = try executor.store.layerWriter()
    for path in missing {
      try writer.tar.begin(
        TarEntry(path: path, kind: .directory, mode: 0o755, uid: owner.uid, gid: owner.gid, mtime: started))
    }
    let diffID = try writer.commit().diffID
    return try executor.record(
      vertex, base, layer: diffID, keys: keys, started: started,
      durations: ["run": Machine.now().nanoseconds(since: started)])
  }

  /// What has to be made, outermost first; links on the way are followed inside the tree.
  private func missingDirectories(_ view: OverlayTree) throws -> [TreePath] {
    var missing: [TreePath] = []
    var at = TreePath.root
    for component in TreePath(clamping: op.path).components {
      let next = at.child(component)
      guard missing.isEmpty, let found = try view.resolve(next, followLast: true) else {
        missing.append(next)
        at = next
        continue
      }
      guard try view.entry(found)?.kind == .directory else {
        throw Failure("make directory \(op.path)", "\(next.absolute) is not a directory")
      }
      at = found
    }
    return missing
  }
}
