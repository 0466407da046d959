internal import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Store

/// One COPY or ADD: files of the context, of other stages and of heredocs become a layer, without a mount.
struct CopyStep: Sendable {
  private let executor: StepExecutor
  private let vertex: Vertex
  private let copy: Op.Copy

  init(_ executor: StepExecutor, _ vertex: Vertex, _ copy: Op.Copy) {
    self.executor = executor
    self.vertex = vertex
    self.copy = copy
  }

  /// The digest of what is read from the build context.
  func contextDigest() async throws -> Graph.ContentDigest {
    let sources = copy.sources.compactMap { source -> CopySelection.Source? in
      guard case .context(let path) = source else { return nil }
      return .tree(executor.context.tree, pattern: Array(path.utf8))
    }
    let index = executor.context.index
    return try await BlockingPool.shared.run {
      try CopyStep.digest(selection(sources), index, keeping: executor.context.contents)
    }
  }

  /// The digest of what is read from other stages and images, whose results are `inputs[1...]`.
  func inputDigest(_ inputs: [LayerStack]) async throws -> Graph.ContentDigest {
    try await BlockingPool.shared.run {
      try executor.holding(inputs) {
        let sources = try copy.sources.compactMap { source -> CopySelection.Source? in
          guard case .input(let index, let path) = source else { return nil }
          return .tree(try executor.view(inputs[index], label: "the source of --from"), pattern: Array(path.utf8))
        }
        return try CopyStep.digest(selection(sources))
      }
    }
  }

  func run(_ inputs: [LayerStack], keys: StepKeys) throws -> Executed<LayerStack> {
    let started = Machine.now()
    // All digests of the context are made by now: what was learned for them need not be held any longer.
    executor.context.saveIndex()
    let base = try executor.view(inputs[0])
    var selection = selection(
      try copy.sources.map { source in
        switch source {
        case .context(let path): .tree(executor.context.tree, pattern: Array(path.utf8))
        case .input(let index, let path):
          .tree(try executor.view(inputs[index], label: "the source of --from"), pattern: Array(path.utf8))
        case .inline(let name, let content): .bytes(content, name: name)
        }
      })
    if let chown = copy.chown {
      selection.owner = try UserLookup(in: base).owner(chown)
    }
    selection.latest = copy.latest
    selection.mode = try copy.chmod.map { try ModeChange($0) }
    let scratch = copy.isAdd ? try executor.store.makeTemporaryDirectory("add") : nil
    defer { if let scratch { try? HostPath.removeTree(scratch) } }
    let plan = try selection.plan(
      onto: base, created: StepExecutor.directoryTime, scratch: try scratch.map { try Directory($0) })
    let writer = try executor.store.layerWriter()
    try plan.write(to: writer.tar)
    let layer = try writer.commit()
    return executor.finished(
      FinishedStep(
        vertex: vertex, keys: keys, base: inputs[0], started: started,
        durations: ["run": Machine.now().nanoseconds(since: started)]), layer: layer.diffID)
  }

  private func selection(_ sources: [CopySelection.Source]) -> CopySelection {
    var destination = copy.destination
    if copy.destinationIsDirectory, !destination.hasSuffix("/") { destination += "/" }
    return CopySelection(
      copy.isAdd ? "ADD" : "COPY", sources: sources, destination: Array(destination.utf8),
      unpacksArchives: copy.isAdd)
  }

  private static func digest(
    _ selection: CopySelection, _ index: ContextIndex? = nil, keeping contents: ContentStore? = nil
  ) throws -> Graph.ContentDigest {
    let digest = try selection.sourceDigest(index, keeping: contents, width: Machine.processorCount)
    return Graph.ContentDigest(digest: digest.digest, preimage: Preimage(text: { digest.list.json }))
  }
}
