public import Core
public import Dockerfile
internal import FileTree
public import Graph
internal import Linux
internal import Sandbox
public import Store
internal import Synchronization

/// Does the ops of a build graph in the world: layers come from and go to the store.
public final class StepExecutor: OpExecutor {
  let store: Store
  /// The platform of the vertices that have one; see `platform(of:)`.
  private let platforms: [VertexID: Platform]
  let context: BuildContext
  let source: DockerfileDocument
  let reporter: ProgressReporter
  let resources: ResourceLimits
  let launcher: any ProcessLauncher
  /// Layers that are packed at a time: beside the steps that run.
  let packers = TaskLimit(max(1, Machine.processorCount))
  let removal = BackgroundRemoval()
  let nameFiles: SharedNameFiles
  /// Told of each layer that a step made, when it is in the store.
  let layerMade: @Sendable (VertexID, Digest) -> Void
  /// The definition keys of the plan's vertices.
  public let definitions = StepDefinitions()
  /// Caches of other machines, asked for what the store does not know.
  let imports: CacheImport?
  private let remarks = Mutex<Set<String>>([])

  /// An executor for the vertices of `plans`, one a platform; `source` is what failures show an excerpt of.
  public init(
    store: Store, plans: [BuildPlan], context: BuildContext, source: DockerfileDocument, reporter: ProgressReporter,
    resources: ResourceLimits = ResourceLimits(), imports: CacheImport? = nil,
    layerMade: @escaping @Sendable (VertexID, Digest) -> Void = { _, _ in }
  ) throws {
    self.layerMade = layerMade
    self.store = store
    platforms = StepExecutor.platforms(plans)
    self.context = context
    self.source = source
    self.reporter = reporter
    self.resources = resources
    self.imports = imports
    nameFiles = SharedNameFiles(store)
    launcher = SandboxLauncher(stateDirectory: store.root + "/sandbox")
  }

  /// The platform of every vertex: that of the image that it is made of, or of the plan where it begins from scratch.
  private static func platforms(_ plans: [BuildPlan]) -> [VertexID: Platform] {
    var known: [VertexID: Platform] = [:]
    for plan in plans {
      for vertex in plan.vertices where known[vertex.id] == nil {
        known[vertex.id] =
          if case .image(let image) = vertex.op { image.platform } else {
            vertex.inputs.first.flatMap { known[$0] } ?? plan.config.platform
          }
      }
    }
    return known
  }

  /// The platform of the programs that the vertex runs; nil if it is this machine's.
  func foreignPlatform(of vertex: Vertex) -> Platform? {
    platforms[vertex.id].flatMap {
      $0.os == Platform.current.os && $0.architecture == Platform.current.architecture ? nil : $0
    }
  }

  /// The time of directories that no one brought: WORKDIR's, and parents of what COPY copies. A fixed one, since the
  /// same input is to give the same layer whenever it is built.
  static let directoryTime = Timestamp(seconds: 0)

  /// The digest of the stack's layers, nil while one of them is packed.
  public func identity(_ result: LayerStack) -> Digest? { result.identity }

  /// Waits until nothing of the build is left on disk but its results. No step runs any more.
  public func finish() async {
    nameFiles.remove(removal)
    await removal.finish()
  }

  /// Tells what could not be had for a step; the same words once a build.
  func remark(_ warnings: [String]) {
    for warning in warnings where remarks.withLock({ $0.insert(warning).inserted }) {
      reporter.warning(Diagnostic(.warning, warning))
    }
  }

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

  public func begin(_ definitions: [(vertex: Vertex, key: CacheKey)]) {
    self.definitions.set(definitions)
  }

  /// The result recorded under `key`, if all its layers are still there, or can be had from a cache.
  public func lookup(_ key: CacheKey) async throws -> LayerStack? {
    let own = try await BlockingPool.shared.run { [self] () -> LayerStack? in
      let target = key.kind == .definition ? try store.alias(key.digest) : key.digest
      guard let target, let record = try store.step(forKey: target), !record.stack.isEmpty else { return nil }
      return LayerStack(record.stack)
    }
    if let own { return own }
    return try await imports?.find(key).map { LayerStack($0.stack) }
  }

  /// Takes the right to execute a step, unless its result comes from another build meanwhile.
  public func claim(_ key: CacheKey, waits: Bool) async throws -> Claiming<LayerStack, StepClaim> {
    var pause = Self.shortestPause
    while true {
      if let claim = try await BlockingPool.shared.run({ [store] in try store.claimStep(key.digest) }) {
        // The other build may have ended between our look-up and our claim.
        if let result = try await lookup(key) { return .found(result) }
        return .granted(claim)
      }
      if !waits { return .held }
      try await Task.sleep(for: pause)
      // Whoever else waits may have the claim for the moment of its look-up: the record says more.
      if let result = try await lookup(key) { return .found(result) }
      pause = min(pause * 3 / 2, Self.longestPause)
    }
  }

  /// How long a build sleeps between two looks at a step that another build executes.
  private static let shortestPause = Duration.milliseconds(2)
  private static let longestPause = Duration.milliseconds(50)

  /// Makes the definition key lead to the record of the content key.
  public func alias(definition: CacheKey, to content: CacheKey) async throws {
    try await BlockingPool.shared.run { [self] in
      try store.putAlias(definition.digest, to: content.digest)
    }
  }

  /// Does the op and returns the stack with the new layer on top; the layer and the step's record may come later.
  public func execute(_ vertex: Vertex, _ inputs: [LayerStack], keys: StepKeys) async throws -> Executed<LayerStack> {
    try await located(vertex) {
      switch vertex.op {
      case .scratch: return Executed(LayerStack([LayerHandle]()))
      case .image(let image):
        guard let id = image.imageID else { throw Failure("use \(image.reference)", "image was not resolved") }
        return try await BlockingPool.shared.run { [store] in
          guard let stored = try store.image(id) else {
            throw Failure("use \(image.reference)", "the image was removed meanwhile")
          }
          return Executed(LayerStack(stored.config.diffIDs.map { StackedLayer($0) }))
        }
      case .exec(let exec): return try await ExecStep(self, vertex, exec, base: inputs[0], keys: keys).run()
      case .copy(let copy):
        return try await BlockingPool.shared.run { [self] in
          try holding(inputs) { try CopyStep(self, vertex, copy).run(inputs, keys: keys) }
        }
      case .makeDirectory(let directory):
        return try await BlockingPool.shared.run { [self] in
          try holding(inputs) {
            try DirectoryStep(executor: self, vertex: vertex, op: directory).run(inputs[0], keys: keys)
          }
        }
      }
    }
  }

  /// The place of a vertex in the Dockerfile.
  func diagnostic(_ vertex: Vertex, _ message: String) -> Diagnostic {
    Diagnostic(.error, message, file: source.file, range: vertex.range, source: source.source)
  }

  /// Gives failures of `body` the vertex's place in the Dockerfile.
  func located<T>(_ vertex: Vertex, _ body: () async throws -> T) async throws -> T {
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
