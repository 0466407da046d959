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

  func run(_ base: LayerStack, keys: StepKeys) throws -> Executed<LayerStack> {
    let started = Machine.now()
    let view = try executor.view(base)
    let missing = try view.missingDirectories(for: TreePath(clamping: op.path))
    let writer = try executor.store.layerWriter()
    // As COPY: a layer shows its directories as they are, whatever lies below it.
    var parents: [TreePath] = []
    while let top = (parents.first ?? missing.first)?.parent, !top.isRoot { parents.insert(top, at: 0) }
    for path in parents {
      guard let node = try view.entry(path) else { continue }
      try writer.tar.begin(
        TarEntry(
          path: path, kind: .directory, mode: node.mode, uid: node.uid, gid: node.gid,
          mtime: op.latest.map { min($0, node.mtime) } ?? node.mtime, xattrs: node.xattrs))
    }
    // A user that the image does not know matters only to directories that are made for it.
    let owner = missing.isEmpty ? nil : try UserLookup(in: view).processUser(op.user)
    for path in missing {
      try writer.tar.begin(
        TarEntry(
          path: path, kind: .directory, mode: 0o755, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0,
          mtime: StepExecutor.directoryTime))
    }
    let diffID = try writer.commit().diffID
    return executor.finished(
      FinishedStep(
        vertex: vertex, keys: keys, base: base, started: started,
        durations: ["run": Machine.now().nanoseconds(since: started)]), layer: diffID)
  }
}
