internal import Core

/// Finds the result of a vertex by doing as little as possible.
///
/// 1. All context digests are taken, in parallel; they give the definition key of every vertex.
/// 2. From the target down: a vertex whose definition key is known is done, and its inputs are not looked at.
/// 3. Otherwise its inputs are solved, which gives its content key. Known: the definition key becomes an alias.
/// 4. Otherwise it is executed, at most `parallelism` at a time, and each content key once. Of several builds that want
///    to execute one step, one does; the others wait and take its result.
///
/// A vertex can be executed on top of results that have no identity yet. Then it has no content key to look up; that
/// key, and what is stored under it, comes later: with the rest (`Executed.rest`) that is done beside later vertices.
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
  public func solve(_ vertices: [Vertex], target: VertexID) async throws -> Executor.Result {
    try await solve(vertices, targets: [target])[0]
  }

  /// The results of the targets of `plans`, in their order; what they share is done once.
  public func solve(_ plans: [BuildPlan]) async throws -> [Executor.Result] {
    var seen: Set<VertexID> = []
    let vertices = plans.flatMap(\.vertices).filter { seen.insert($0.id).inserted }
    return try await solve(vertices, targets: plans.map(\.target))
  }

  /// The results of `targets`, in their order. `vertices` stand after their inputs.
  ///
  /// The rest of every executed vertex is done when it returns, also if a vertex failed: what was executed before is
  /// not lost. Throws the first error of a vertex after all running ones ended, or `CancellationError` if the task was
  /// cancelled, which ends rests early too.
  public func solve(_ vertices: [Vertex], targets: [VertexID]) async throws -> [Executor.Result] {
    try Task.checkCancellation()
    let contexts = try await contextDigests(vertices)
    var run = try SolverRun<Executor>(
      vertices: vertices, contexts: contexts, targets: targets, parallelism: parallelism, onEvent: onEvent)
    let executor = self.executor
    executor.begin(Array(zip(vertices, run.definitions)).map { (vertex: $0, key: $1) })
    let rests = RestTasks()
    return try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: SolverReport<Executor>.self) { group in
        for target in run.targets { run.want(target) }
        while true {
          for task in run.takeTasks() {
            group.addTask { await SolverReport(task, executor, rests) }
          }
          guard let report = try await group.next() else { break }
          run.take(report, isCancelled: Task.isCancelled, executor)
          if run.isOver { group.cancelAll() }
        }
        return try run.finish()
      }
    } onCancel: {
      rests.cancel()
    }
  }

  /// The context digest of each vertex, by position.
  private func contextDigests(_ vertices: [Vertex]) async throws -> [ContentDigest?] {
    let reports = await contextReports(vertices)
    try Task.checkCancellation()
    // Of several errors the file's first is told, whichever came first.
    if let report = reports.first(where: { $0.error.map { !($0 is CancellationError) } ?? false }),
      let error = report.error
    {
      onEvent(.failed(vertices[report.position], error))
      throw error
    }
    return reports.map(\.digest)
  }

  /// What came of asking for each vertex's context digest, in the order of the vertices.
  private func contextReports(_ vertices: [Vertex]) async -> [ContextReport] {
    let executor = self.executor
    let reports = await withTaskGroup(of: ContextReport.self, returning: [ContextReport].self) { group in
      for position in vertices.indices {
        let vertex = vertices[position]
        group.addTask {
          do {
            return ContextReport(position: position, digest: try await executor.contextDigest(vertex), error: nil)
          } catch {
            return ContextReport(position: position, digest: nil, error: error)
          }
        }
      }
      var reports: [ContextReport] = []
      for await report in group { reports.append(report) }
      return reports
    }
    return reports.sorted { $0.position < $1.position }
  }
}

/// The context digest of the vertex at a position, or why there is none.
private struct ContextReport: Sendable {
  var position: Int
  var digest: ContentDigest?
  var error: (any Error)?
}
