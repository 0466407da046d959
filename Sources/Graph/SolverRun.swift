internal import Core

/// The state of one solving: which vertices are wanted, what is known of each, what is to be done next. Changed by
/// one task only; it starts nothing itself.
struct SolverRun<Executor: OpExecutor> {
  let vertices: [Vertex]
  let targets: [Int]
  private let contexts: [ContentDigest?]
  private let inputs: [[Int]]
  private let consumers: [[Int]]
  let definitions: [CacheKey]
  /// Whether the definition key may not be looked up: the vertex or one below it ignores the cache.
  private let skipsDefinition: [Bool]
  private let parallelism: Int
  private let onEvent: @Sendable (SolverEvent) -> Void

  private var phases: [Phase]
  private var results: [Executor.Result?]
  /// What is to be asked of the executor now.
  private var tasks: [SolverTask<Executor>] = []
  /// Positions that wait for their turn to be executed.
  private var ready: [Int] = []
  private var keys: [Int: StepKeys] = [:]
  private var claims: [Int: Executor.Claim] = [:]
  private var running = 0
  /// Who makes the result of a content key (or of a definition key, where that is all there is), and who waits for it.
  private var makers: [CacheKey: Int] = [:]
  private var followers: [Int: [Int]] = [:]
  /// What is left to do of executed vertices: to be begun, and how many in all.
  private var rests: [SolverTask<Executor>] = []
  private var unsettled = 0
  private var isReported: [Bool]
  private var hasToldSettling = false
  private var failure: (any Error)?
  private var isCancelled = false
  /// Whether a rest ended early.
  private var isCutShort = false

  /// Where a vertex stands.
  enum Phase {
    case unwanted
    case findingDefinition
    /// The number of inputs without a result.
    case waitingForInputs(Int)
    case digesting
    case findingContent
    /// Waits for its turn, or for another vertex with the same key.
    case queued
    /// Has its turn, and asks whether another build is at it.
    case claiming
    /// Another build is at it.
    case waiting
    case executing
    case done
    case failed

    /// Whether it counts as one of those that are executed at a time.
    var hasTurn: Bool {
      switch self {
      case .claiming, .executing: true
      default: false
      }
    }

    /// Whether people were told that something happens, and not yet how it ended.
    var isShown: Bool {
      switch self {
      case .waiting, .executing: true
      default: false
      }
    }
  }

  init(
    vertices: [Vertex], contexts: [ContentDigest?], targets: [VertexID], parallelism: Int,
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
    self.vertices = vertices
    self.targets = try targets.map { target in
      guard let position = positions[target] else { throw Failure("solve", "the target \(target) is no vertex") }
      return position
    }
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

  /// Whether nothing new is begun: the targets are there, a vertex failed, or the task was cancelled.
  var isOver: Bool { failure != nil || isCancelled || hasTargets }

  private var hasTargets: Bool { targets.allSatisfy { results[$0] != nil } }

  /// Makes `vertex` part of the work unless it is already.
  mutating func want(_ vertex: Int) {
    guard case .unwanted = phases[vertex] else { return }
    if inputs[vertex].isEmpty || skipsDefinition[vertex] { return wantInputs(of: vertex) }
    phases[vertex] = .findingDefinition
    tasks.append(SolverTask(vertex: vertex, work: .findDefinition(definitions[vertex])))
  }

  /// The calls to make now.
  mutating func takeTasks() -> [SolverTask<Executor>] {
    // What is left of executed vertices is done in any case.
    defer { rests = [] }
    if isOver { return rests }
    ready.sort()
    while running < parallelism, !ready.isEmpty {
      let vertex = ready.removeFirst()
      running += 1
      tasks.append(isClaimed(vertex) ? execution(vertex) : claiming(vertex))
    }
    defer { tasks = [] }
    return rests + tasks
  }

  /// Takes what came of a call.
  mutating func take(_ report: SolverReport<Executor>, isCancelled: Bool, _ executor: Executor) {
    self.isCancelled = self.isCancelled || isCancelled
    let vertex = report.vertex
    if !report.isRest, phases[vertex].hasTurn { running -= 1 }
    switch report.outcome {
    case .failure(let error): if report.isRest { failRest(vertex, error) } else { fail(vertex, error) }
    case .success(.settled): unsettled -= 1
    case .success(.executed(let executed)):
      onEvent(.finished(vertices[vertex]))
      keep(vertex, executed.rest)
      complete(vertex, executed.result)
    case .success where isOver: if phases[vertex].isShown { onEvent(.cancelled(vertices[vertex])) }
    case .success(.contentDigest(let digest)): findContent(vertex, selected: digest, executor)
    case .success(.claim(let claiming)): take(claiming, of: vertex)
    case .success(.found(let result?)):
      reportCached(vertex)
      complete(vertex, result)
    case .success(.found(nil)):
      if case .findingContent = phases[vertex] { enqueue(vertex) } else { wantInputs(of: vertex) }
    }
    if hasTargets, unsettled > 0, failure == nil, !self.isCancelled, !hasToldSettling {
      hasToldSettling = true
      onEvent(.settling)
    }
  }

  /// The targets' results; the last remarks are made.
  func finish() throws -> [Executor.Result] {
    if let failure { throw failure }
    let found = targets.compactMap { results[$0] }
    guard found.count == targets.count, !isCutShort else { throw CancellationError() }
    for (vertex, isReported) in isReported.enumerated() where !isReported { onEvent(.cached(vertices[vertex])) }
    return found
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
    let content: CacheKey? =
      switch base {
      case .none: .content(vertices[vertex], context: contexts[vertex], base: nil, selected: selected)
      case .some(let identity):
        identity.map { .content(vertices[vertex], context: contexts[vertex], base: $0, selected: selected) }
      }
    keys[vertex] = StepKeys(
      vertices[vertex], definition: definitions[vertex], content: content, context: contexts[vertex],
      selected: selected)
    guard let content, !inputs[vertex].isEmpty, !vertices[vertex].ignoresCache else { return enqueue(vertex) }
    phases[vertex] = .findingContent
    tasks.append(
      SolverTask(vertex: vertex, work: .findContent(content, definition: definitions[vertex])))
  }

  private mutating func enqueue(_ vertex: Int) {
    phases[vertex] = .queued
    let key = keys[vertex]?.content ?? definitions[vertex]
    if let maker = makers[key] {
      if let result = results[maker] {
        reportCached(vertex)
        complete(vertex, result)
      } else {
        followers[maker, default: []].append(vertex)
      }
    } else {
      makers[key] = vertex
      ready.append(vertex)
    }
  }

  /// Whether nothing keeps the vertex from being executed: it has its claim, or its result must not come from others.
  private func isClaimed(_ vertex: Int) -> Bool {
    inputs[vertex].isEmpty || skipsDefinition[vertex] || claims[vertex] != nil
  }

  private mutating func claiming(_ vertex: Int) -> SolverTask<Executor> {
    phases[vertex] = .claiming
    return SolverTask(vertex: vertex, work: .claim(definitions[vertex], waits: false))
  }

  private mutating func execution(_ vertex: Int) -> SolverTask<Executor> {
    phases[vertex] = .executing
    isReported[vertex] = true
    onEvent(.started(vertices[vertex]))
    let keys =
      keys[vertex]
      ?? StepKeys(vertices[vertex], definition: definitions[vertex], content: nil, context: nil, selected: nil)
    return SolverTask(vertex: vertex, work: .execute(vertices[vertex], inputResults(vertex), keys))
  }

  private mutating func take(_ claiming: Claiming<Executor.Result, Executor.Claim>, of vertex: Int) {
    switch claiming {
    case .granted(let claim):
      claims[vertex] = claim
      phases[vertex] = .queued
      ready.append(vertex)
    case .held:
      phases[vertex] = .waiting
      isReported[vertex] = true
      onEvent(.waiting(vertices[vertex]))
      tasks.append(SolverTask(vertex: vertex, work: .claim(definitions[vertex], waits: true)))
    case .found(let result):
      reportCached(vertex)
      complete(vertex, result)
    }
  }

  /// Takes over what is left to do of an executed vertex, and the claim, which is held until then.
  private mutating func keep(_ vertex: Int, _ rest: (@Sendable () async throws -> Void)?) {
    let claim = claims.removeValue(forKey: vertex)
    guard let rest else { return }
    unsettled += 1
    rests.append(SolverTask(vertex: vertex, work: .rest(rest, claim)))
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

  private mutating func fail(_ vertex: Int, _ error: any Error) {
    let isShown = phases[vertex].isShown
    phases[vertex] = .failed
    claims[vertex] = nil
    if isOver || error is CancellationError {
      if isShown { onEvent(.cancelled(vertices[vertex])) }
      // A vertex that gives up without being told to counts as cancelled too.
      if !isOver { failure = error }
      return
    }
    failure = error
    isReported[vertex] = true
    onEvent(.failed(vertices[vertex], error))
  }

  private mutating func failRest(_ vertex: Int, _ error: any Error) {
    unsettled -= 1
    if error is CancellationError {
      isCutShort = true
    } else if failure == nil, !isCancelled {
      failure = error
      onEvent(.failed(vertices[vertex], error))
    }
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
