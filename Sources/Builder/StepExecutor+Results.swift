internal import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Store

/// What is to be remembered of a step that was executed.
struct FinishedStep: Sendable {
  var vertex: Vertex
  var keys: StepKeys
  var base: LayerStack
  var started: Timestamp
  /// Nanoseconds by phase.
  var durations: [String: Int64]
  /// The folder that the log is in, nil for a step without a process.
  var folder: StepFolder?
  /// Nil for a step without output.
  var logPath: String?
}

extension StepExecutor {
  /// The result of a step whose layer is in the store. Its record is written beside later steps, when all below is in
  /// the store too.
  func finished(_ step: FinishedStep, layer: Digest) -> Executed<LayerStack> {
    Executed(step.base.adding(LayerHandle(layer, created: step.started))) { [self] in
      try await located(step.vertex) {
        let base = try await step.base.packed()
        try await BlockingPool.shared.run { try self.record(step, layer, base) }
      }
    }
  }

  /// The result of a step that left its layer in the upper of its folder: it is packed as the rest of the step. No file
  /// of the layer is later than `latest`.
  func finished(
    _ step: FinishedStep, packing folder: StepFolder, latest: Timestamp?
  ) throws -> Executed<LayerStack> {
    // Steps that change nothing are frequent, and what they give needs no look at the disk.
    if try folder.upperDirectory.entries().isEmpty { return finished(step, layer: try store.emptyLayer()) }
    if UserNamespace.hasSingleID { return try finishedPacking(step, folder, latest) }
    let handle = LayerHandle(packing: folder, created: step.started)
    return Executed(step.base.adding(handle)) { [self] in
      try await located(step.vertex) {
        var step = step
        do {
          let began = Machine.now()
          let layer = try await packers.run {
            try await BlockingPool.shared.run { try self.pack(folder, latest) }
          }
          // The upper's times are not the layer's then.
          if latest == nil { try await adopt(folder, as: layer) }
          step.durations["pack"] = Machine.now().nanoseconds(since: began)
          handle.settle(.success(layer))
        } catch {
          handle.settle(.failure(error))
          throw error
        }
        let (done, layer) = (step, try await handle.packed())
        let base = try await step.base.packed()
        try await BlockingPool.shared.run { try self.record(done, layer, base) }
      }
    }
  }

  /// As `finished(_:packing:latest:)` in a user namespace of one id: nothing may look into the upper, since only the
  /// layer says whom files belong to. What the upper has from below belongs to whom it did there.
  private func finishedPacking(
    _ step: FinishedStep, _ folder: StepFolder, _ latest: Timestamp?
  ) throws -> Executed<LayerStack> {
    let began = Machine.now()
    let lowers = try view(step.base)
    let layer = try pack(folder, latest, owners: { path in try lowers.entry(path).map { ($0.uid, $0.gid) } })
    var step = step
    step.durations["pack"] = Machine.now().nanoseconds(since: began)
    return finished(step, layer: layer)
  }

  private func pack(_ folder: StepFolder, _ latest: Timestamp?, owners: LowerOwners? = nil) throws -> Digest {
    try Task.checkCancellation()
    let writer = try store.layerWriter()
    try packUpper(folder.upperDirectory, into: writer.tar, latest: latest, owners: owners)
    return try writer.commit().diffID
  }

  /// Makes the folder's upper the tree of `layer`, where layers are trees.
  private func adopt(_ folder: StepFolder, as layer: Digest) async throws {
    let move: @Sendable () throws -> Bool = { [store] in
      guard try store.layerForm() == .tree else { return true }
      return try folder.move { try store.adoptTree(layer, from: $0) }
    }
    // A sandbox is started in some milliseconds.
    while try await !BlockingPool.shared.run(move) { try await Task.sleep(for: .milliseconds(2)) }
  }

  private func record(_ step: FinishedStep, _ layer: Digest, _ base: [StackedLayer]) throws {
    layerMade(step.vertex.id, layer)
    let content = step.keys.content(base: LayerStack.identity(base))
    try store.putStep(
      StepRecord(
        key: content.digest, definitionKey: step.keys.definition.digest, preimage: content.preimage,
        resultDiffID: layer, stack: base + [StackedLayer(layer, created: step.started)], started: step.started,
        durations: step.durations, logPath: step.logPath, title: step.vertex.instructionText))
  }
}
