internal import Core

/// Finds the result of a vertex by doing as little as possible.
///
/// 1. All context digests are taken, in parallel; they give the definition key of every vertex.
/// 2. From the target down: a vertex whose definition key is known is done, and its inputs are not looked at.
/// 3. Otherwise its inputs are solved, which gives its content key. Known: the definition key becomes an alias.
/// 4. Otherwise it is executed, at most `parallelism` at a time, and each content key once.
///
/// It knows nothing of containers: `OpExecutor` does.
public struct Solver<Executor: OpExecutor>: Sendable {
  private let executor: Executor
  private let parallelism: Int
  private let onEvent: @Sendable (SolverEvent) -> Void

  /// `parallelism` bounds the vertices that are executed at a time. `onEvent` is called by one task, in order.
  public init(
    _ executor: Executor, parallelism: Int, onEvent: @escaping @Sendable (SolverEvent) -> Void = { _ in }
  ) {
    self.executor = executor
    self.parallelism = max(1, parallelism)
    self.onEvent = onEvent
  }

  /// The result of the plan's target.
  public func solve(_ plan: BuildPlan) async throws -> Executor.Result {
    try await solve(plan.vertices, target: plan.target)
  }

  /// The result of `target`. `vertices` stand after their inputs.
  ///
  /// Throws the first error of a vertex after all running ones ended, or `CancellationError` if the task was
  /// cancelled.
  public func solve(_ vertices: [Vertex], target: VertexID) async throws -> Executor.Result {
    try Task.checkCancellation()
    let contexts = try await contextDigests(vertices)
    var run = try SolverRun<Executor>(
      vertices: vertices, contexts: contexts, target: target, parallelism: parallelism, onEvent: onEvent)
    let executor = self.executor
    return try await withThrowingTaskGroup(of: SolverReport<Executor.Result>.self) { group in
      run.want(run.target)
      while true {
        for task in run.takeTasks() {
          group.addTask { await SolverReport(task.vertex) { try await task.perform(executor) } }
        }
        guard let report = try await group.next() else { break }
        run.take(report, isCancelled: Task.isCancelled, executor)
        if run.isOver { group.cancelAll() }
      }
      return try run.finish(isCancelled: Task.isCancelled)
    }
  }

  /// The context digest of each vertex, by position.
  private func contextDigests(_ vertices: [Vertex]) async throws -> [ContentDigest?] {
    let executor = self.executor
    var out = [ContentDigest?](repeating: nil, count: vertices.count)
    var failure: (position: Int, error: any Error)?
    await withTaskGroup(of: (Int, Swift.Result<ContentDigest?, any Error>).self) { group in
      for (position, vertex) in vertices.enumerated() {
        group.addTask {
          do { return (position, .success(try await executor.contextDigest(vertex))) } catch {
            return (position, .failure(error))
          }
        }
      }
      for await (position, result) in group {
        switch result {
        case .success(let digest): out[position] = digest
        case .failure(let error):
          // Of several errors the file's first is told, whichever came first.
          if !(error is CancellationError), position < failure?.position ?? .max { failure = (position, error) }
        }
      }
    }
    try Task.checkCancellation()
    if let failure {
      onEvent(.failed(vertices[failure.position], failure.error))
      throw failure.error
    }
    return out
  }
}

/// One call to the executor, on behalf of a vertex.
struct SolverTask<Executor: OpExecutor>: Sendable {
  var vertex: Int
  var work: Work

  enum Work: Sendable {
    case findDefinition(CacheKey)
    case digestContent(Vertex, [Executor.Result])
    case findContent(CacheKey, definition: CacheKey)
    case execute(Vertex, [Executor.Result], StepKeys)
  }

  func perform(_ executor: Executor) async throws -> SolverReport<Executor.Result>.Outcome {
    try Task.checkCancellation()
    switch work {
    case .findDefinition(let key): return .found(try await executor.lookup(key))
    case .digestContent(let vertex, let inputs):
      return .contentDigest(try await executor.contentDigest(vertex, inputs))
    case .findContent(let key, let definition):
      guard let result = try await executor.lookup(key) else { return .found(nil) }
      try await executor.alias(definition: definition, to: key)
      return .found(result)
    case .execute(let vertex, let inputs, let keys):
      return .executed(try await executor.execute(vertex, inputs, keys: keys))
    }
  }
}

/// What came of a `SolverTask`.
struct SolverReport<Value: Sendable>: Sendable {
  var vertex: Int
  var outcome: Swift.Result<Outcome, any Error>

  enum Outcome: Sendable {
    case found(Value?)
    case contentDigest(ContentDigest?)
    case executed(Value)
  }

  init(_ vertex: Int, _ body: () async throws -> Outcome) async {
    self.vertex = vertex
    do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
  }
}
