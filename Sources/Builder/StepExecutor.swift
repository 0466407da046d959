public import Core
public import Dockerfile
internal import FileTree
public import Graph
internal import Linux
internal import Sandbox
public import Store

/// Does the ops of a build graph in the world: layers come from and go to the store.
public final class StepExecutor: OpExecutor {
  let store: Store
  let plan: BuildPlan
  let context: BuildContext
  let source: DockerfileDocument
  let reporter: ProgressReporter
  let resources: ResourceLimits
  let launcher: any ProcessLauncher

  /// An executor for the vertices of `plan`; `source` is what failures show an excerpt of.
  public init(
    store: Store, plan: BuildPlan, context: BuildContext, source: DockerfileDocument, reporter: ProgressReporter,
    resources: ResourceLimits = ResourceLimits()
  ) throws {
    self.store = store
    self.plan = plan
    self.context = context
    self.source = source
    self.reporter = reporter
    self.resources = resources
    launcher = try SandboxLauncher(stateDirectory: store.root + "/sandbox")
  }

  /// The time of directories that no one brought: WORKDIR's, and parents of what COPY copies. A fixed one, since the
  /// same input is to give the same layer whenever it is built.
  static let directoryTime = Timestamp(seconds: 0)

  /// The digest of the stack's layers.
  public func identity(_ result: LayerStack) -> Digest { result.identity }

  /// What a COPY or ADD would read from the build context; nil for other ops.
  public func contextDigest(_ vertex: Vertex) async throws -> Graph.ContentDigest? {
    guard case .copy(let copy) = vertex.op, vertex.op.readsContext else { return nil }
    return try await located(vertex) {
      try await CopyStep(self, vertex, copy).contextDigest()
    }
  }

  /// What a COPY or ADD would read from other stages and images; nil for other ops.
  public func contentDigest(_ vertex: Vertex, _ inputs: [LayerStack]) async throws -> Graph.ContentDigest? {
    guard case .copy(let copy) = vertex.op, inputs.count > 1 else { return nil }
    return try await located(vertex) {
      try await CopyStep(self, vertex, copy).inputDigest(inputs)
    }
  }

  /// The result recorded under `key`, if all its layers are still there.
  public func lookup(_ key: CacheKey) async throws -> LayerStack? {
    try await BlockingPool.shared.run { [self] in
      let target = key.kind == .definition ? try store.alias(key.digest) : key.digest
      guard let target, let record = try store.step(forKey: target), !record.stack.isEmpty else { return nil }
      return LayerStack(record.stack)
    }
  }

  /// Makes the definition key lead to the record of the content key.
  public func alias(definition: CacheKey, to content: CacheKey) async throws {
    try await BlockingPool.shared.run { [self] in
      try store.putAlias(definition.digest, to: content.digest)
    }
  }

  /// Does the op, writes its record, and returns the stack with the new layer on top.
  public func execute(_ vertex: Vertex, _ inputs: [LayerStack], keys: StepKeys) async throws -> LayerStack {
    try await located(vertex) {
      switch vertex.op {
      case .scratch: return LayerStack([])
      case .image(let image):
        guard let id = image.imageID else { throw Failure("use \(image.reference)", "image was not resolved") }
        return try await BlockingPool.shared.run { [store] in
          guard let stored = try store.image(id) else {
            throw Failure("use \(image.reference)", "the image was removed meanwhile")
          }
          return LayerStack(stored.config.diffIDs.map { StackedLayer($0) })
        }
      case .exec(let exec): return try await ExecStep(self, vertex, exec, base: inputs[0], keys: keys).run()
      case .copy(let copy):
        return try await BlockingPool.shared.run { [self] in
          try CopyStep(self, vertex, copy).run(inputs, keys: keys)
        }
      case .makeDirectory(let directory):
        return try await BlockingPool.shared.run { [self] in
          try DirectoryStep(executor: self, vertex: vertex, op: directory).run(inputs[0], keys: keys)
        }
      }
    }
  }

  /// Records a finished step and returns its result.
  func record(
    _ vertex: Vertex, _ base: LayerStack, layer: Digest, keys: StepKeys, started: Timestamp,
    durations: [String: Int64], logPath: String? = nil
  ) throws -> LayerStack {
    let result = base.adding(layer, created: started)
    try store.putStep(
      StepRecord(
        key: keys.content.digest, definitionKey: keys.definition.digest, preimage: keys.content.preimage,
        resultDiffID: layer,
        stack: result.layers, started: started, durations: durations, logPath: logPath, title: vertex.instructionText))
    return result
  }

  /// The unpacked trees of a stack, topmost first.
  func trees(_ stack: LayerStack) throws -> [String] {
    try store.trees(of: stack.diffIDs)
  }

  /// The merged view of a stack, without a mount.
  func view(_ stack: LayerStack, label: String = "the image") throws -> MergedTree {
    MergedTree(trees: try trees(stack).map { try Directory($0) }, label: label)
  }

  /// The place of a vertex in the Dockerfile.
  func diagnostic(_ vertex: Vertex, _ message: String) -> Diagnostic {
    Diagnostic(.error, message, file: source.file, range: vertex.range, source: source.source)
  }

  /// Gives failures of `body` the vertex's place in the Dockerfile.
  private func located<T>(_ vertex: Vertex, _ body: () async throws -> T) async throws -> T {
    do {
      return try await body()
    } catch var failure as Failure {
      if failure.diagnostics.isEmpty { failure.diagnostics = [diagnostic(vertex, failure.description)] }
      throw failure
    } catch let error as SystemError {
      var failure = error.failure
      failure.diagnostics = [diagnostic(vertex, failure.description)]
      throw failure
    }
  }
}
