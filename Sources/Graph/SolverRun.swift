internal import Core

/// The state of one solving: which vertices are wanted, what is known of each, what is to be done next. Changed by
/// one task only; it starts nothing itself.
struct SolverRun<Executor: OpExecutor> {
  let vertices: [Vertex]
  let target: Int
  private let contexts: [ContentDigest?]
  private let inputs: [[Int]]
  private let consumers: [[Int]]
  private let definitions: [CacheKey]
  /// Whether the definition key may not be looked up: the vertex or one below it ignores the cache.
  private let skipsDefinition: [Bool]
  private let parallelism: Int
  private let onEvent: @Sendable (SolverEvent) -> Void

  private var phases: [Phase]
  private var results: [Executor.Result?]
  /// What is to be asked of the executor now.
  private var tasks: [SolverTask<Executor>] = []
  /// Positions that wait for their turn to be executed, with their content keys.
  private var ready: [(vertex: Int, content: CacheKey)] = []
  private var running = 0
  /// Who makes the result of a content key, and who waits for it.
  private var makers: [CacheKey: Int] = [:]
  private var followers: [Int: [Int]] = [:]
  private var isReported: [Bool]
  private var failure: (any Error)?
  private var isCancelled = false

  /// Where a vertex stands.
  enum Phase {
    case unwanted
    case findingDefinition
    /// The number of inputs without a result.
    case waitingForInputs(Int)
    case digesting
    case findingContent(CacheKey)
    /// Waits for its turn, or for another vertex with the same content key.
    case queued(CacheKey)
    case executing(CacheKey)
    case done
  }

  init(
    vertices: [Vertex], contexts: [ContentDigest?], target: VertexID, parallelism: Int,
    onEvent: @escaping @Sendable (SolverEvent) -> Void
  ) throws {
    var positions: [VertexID: Int] = [:]
    var inputs: [[Int]] = []
    var consumers = [[Int]](repeating: [], count: vertices.count)
    var definitions: [CacheKey] = []
    var skips: [Bool] = []
    for (position, vertex) in vertices.enumerated() {
      let own = try vertex.inputs.map { id in
        guard let input = positions[id] else {
          throw Failure("solve \(vertex.title)", "its input \(id) does not stand before it")
        }
        return input
      }
      for input in Set(own) { consumers[input].append(position) }
      definitions.append(.definition(vertex, context: contexts[position], inputs: own.map { definitions[$0] }))
      skips.append(vertex.ignoresCache || own.contains { skips[$0] })
      inputs.append(own)
      positions[vertex.id] = position
    }
    guard let last = positions[target] else { throw Failure("solve", "the target \(target) is no vertex") }
    self.vertices = vertices
    self.target = last
    self.contexts = contexts
    self.inputs = inputs
    self.consumers = consumers
    self.definitions = definitions
    self.parallelism = parallelism
    self.onEvent = onEvent
    skipsDefinition = skips
    phases = vertices.map { _ in .unwanted }
    results = vertices.map { _ in nil }
    isReported = vertices.map { _ in false }
  }

  /// Whether nothing new is begun: the target is there, a vertex failed, or the task was cancelled.
  var isOver: Bool { failure != nil || isCancelled || results[target] != nil }

  /// Makes `vertex` part of the work unless it is already.
  mutating func want(_ vertex: Int) {
    guard case .unwanted = phases[vertex] else { return }
    if inputs[vertex].isEmpty || skipsDefinition[vertex] { return wantInputs(of: vertex) }
    phases[vertex] = .findingDefinition
    tasks.append(SolverTask(vertex: vertex, work: .findDefinition(definitions[vertex])))
  }

  /// The calls to make now.
  mutating func takeTasks() -> [SolverTask<Executor>] {
    if isOver { return [] }
    ready.sort { $0.vertex < $1.vertex }
    while running < parallelism, !ready.isEmpty {
      let (vertex, content) = ready.removeFirst()
      running += 1
      phases[vertex] = .executing(content)
      isReported[vertex] = true
      onEvent(.started(vertices[vertex]))
      let keys = StepKeys(definition: definitions[vertex], content: content)
      tasks.append(
        SolverTask(vertex: vertex, work: .execute(vertices[vertex], inputResults(vertex), keys)))
    }
    defer { tasks = [] }
    return tasks
  }

  /// Takes what came of a call.
  mutating func take(
    _ report: SolverReport<Executor.Result>, isCancelled: Bool, _ executor: Executor
  ) {
    self.isCancelled = self.isCancelled || isCancelled
    let vertex = report.vertex
    let wasExecuting: Bool
    if case .executing = phases[vertex] { wasExecuting = true } else { wasExecuting = false }
    if wasExecuting { running -= 1 }
    switch report.outcome {
    case .failure(let error): fail(vertex, error, wasExecuting: wasExecuting)
    case .success(.executed(let result)):
      onEvent(.finished(vertices[vertex]))
      complete(vertex, result)
    case .success where isOver: break
    case .success(.contentDigest(let digest)): findContent(vertex, selected: digest, executor)
    case .success(.found(let result?)):
      reportCached(vertex)
      complete(vertex, result)
    case .success(.found(nil)):
      if case .findingContent(let key) = phases[vertex] { enqueue(vertex, key) } else { wantInputs(of: vertex) }
    }
  }

  /// The target's result; the last remarks are made.
  func finish(isCancelled: Bool) throws -> Executor.Result {
    if let failure { throw failure }
    guard let result = results[target] else { throw CancellationError() }
    for (vertex, isReported) in isReported.enumerated() where !isReported { onEvent(.cached(vertices[vertex])) }
    return result
  }

  // MARK: The way of a vertex

  private mutating func wantInputs(of vertex: Int) {
    let missing = Set(inputs[vertex]).filter { results[$0] == nil }
    phases[vertex] = .waitingForInputs(missing.count)
    if missing.isEmpty { return digest(vertex) }
    for input in missing.sorted() { want(input) }
  }

  private mutating func digest(_ vertex: Int) {
    phases[vertex] = .digesting
    tasks.append(
      SolverTask(vertex: vertex, work: .digestContent(vertices[vertex], inputResults(vertex))))
  }

  private mutating func findContent(_ vertex: Int, selected: ContentDigest?, _ executor: Executor) {
    let base = inputs[vertex].first.flatMap { results[$0] }.map { executor.identity($0) }
    let key = CacheKey.content(vertices[vertex], context: contexts[vertex], base: base, selected: selected)
    if inputs[vertex].isEmpty || vertices[vertex].ignoresCache { return enqueue(vertex, key) }
    phases[vertex] = .findingContent(key)
    tasks.append(
      SolverTask(vertex: vertex, work: .findContent(key, definition: definitions[vertex])))
  }

  private mutating func enqueue(_ vertex: Int, _ key: CacheKey) {
    phases[vertex] = .queued(key)
    if let maker = makers[key] {
      if let result = results[maker] {
        reportCached(vertex)
        complete(vertex, result)
      } else {
        followers[maker, default: []].append(vertex)
      }
    } else {
      makers[key] = vertex
      ready.append((vertex, key))
    }
  }

  private mutating func complete(_ vertex: Int, _ result: Executor.Result) {
    phases[vertex] = .done
    results[vertex] = result
    for follower in followers.removeValue(forKey: vertex) ?? [] {
      reportCached(follower)
      complete(follower, result)
    }
    for consumer in consumers[vertex] {
      guard case .waitingForInputs(let missing) = phases[consumer] else { continue }
      phases[consumer] = .waitingForInputs(missing - 1)
      if missing == 1 { digest(consumer) }
    }
  }

  private mutating func fail(_ vertex: Int, _ error: any Error, wasExecuting: Bool) {
    if isOver || error is CancellationError {
      if wasExecuting { onEvent(.cancelled(vertices[vertex])) }
      // A vertex that gives up without being told to counts as cancelled too.
      if !isOver { failure = error }
      return
    }
    failure = error
    isReported[vertex] = true
    onEvent(.failed(vertices[vertex], error))
  }

  private func inputResults(_ vertex: Int) -> [Executor.Result] { inputs[vertex].compactMap { results[$0] } }

  /// Reports `vertex` as cached, and before it those that only it could have needed.
  private mutating func reportCached(_ vertex: Int) {
    var covered: Set<Int> = [vertex]
    for below in stride(from: vertex - 1, through: 0, by: -1) {
      guard case .unwanted = phases[below], !isReported[below], !consumers[below].isEmpty,
        consumers[below].allSatisfy(covered.contains)
      else { continue }
      covered.insert(below)
    }
    for each in covered.sorted() {
      isReported[each] = true
      onEvent(.cached(vertices[each]))
    }
  }
}
