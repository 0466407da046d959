internal import Core

/// One call to the executor, on behalf of a vertex.
struct SolverTask<Executor: OpExecutor>: Sendable {
  var vertex: Int
  var work: Work

  enum Work: Sendable {
    case findDefinition(CacheKey)
    case digestContent(Vertex, [Executor.Result])
    case findContent(CacheKey, definition: CacheKey)
    case claim(CacheKey, waits: Bool)
    case execute(Vertex, [Executor.Result], StepKeys)
    /// The claim is given back when the rest is done.
    case rest(@Sendable () async throws -> Void, Executor.Claim?)
  }

  func perform(_ executor: Executor, _ rests: RestTasks) async throws -> SolverReport<Executor>.Outcome {
    // What was executed is remembered even then.
    if case .rest = work {} else { try Task.checkCancellation() }
    switch work {
    case .findDefinition(let key): return .found(try await executor.lookup(key))
    case .digestContent(let vertex, let inputs):
      return .contentDigest(try await executor.contentDigest(vertex, inputs))
    case .findContent(let key, let definition):
      guard let result = try await executor.lookup(key) else { return .found(nil) }
      try await executor.alias(definition: definition, to: key)
      return .found(result)
    case .claim(let key, let waits): return .claim(try await executor.claim(key, waits: waits))
    case .execute(let vertex, let inputs, let keys):
      return .executed(try await executor.execute(vertex, inputs, keys: keys))
    case .rest(let body, let claim):
      try await rests.run(body)
      withExtendedLifetime(claim) {}
      return .settled
    }
  }
}

/// What came of a `SolverTask`.
struct SolverReport<Executor: OpExecutor>: Sendable {
  var vertex: Int
  /// Whether the task was the rest of an executed vertex.
  var isRest: Bool
  var outcome: Swift.Result<Outcome, any Error>

  enum Outcome: Sendable {
    case found(Executor.Result?)
    case contentDigest(ContentDigest?)
    case claim(Claiming<Executor.Result, Executor.Claim>)
    case executed(Executed<Executor.Result>)
    case settled
  }

  init(_ task: SolverTask<Executor>, _ executor: Executor, _ rests: RestTasks) async {
    vertex = task.vertex
    if case .rest = task.work { isRest = true } else { isRest = false }
    do { outcome = .success(try await task.perform(executor, rests)) } catch { outcome = .failure(error) }
  }
}
