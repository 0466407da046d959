public import Core
internal import Linux
public import Graph
internal import Synchronization

/// Numbers the steps of one build in the order in which they start, and tells a view what happens to them.
public final class ProgressReporter: Sendable {
  fileprivate struct State {
    var ids: [VertexID: Int] = [:]
    var started: [Int: Timestamp] = [:]
    var next = 1
    var cached = 0
    var executed = 0
    /// `exporting to image`, once it is shown.
    var export: Int?
  }

  private let state = Mutex(State())
  private let send: @Sendable (ProgressEvent) -> Void
  private let began = Machine.now()

  public init(_ send: @escaping @Sendable (ProgressEvent) -> Void) { self.send = send }

  /// Steps taken from the cache and steps executed so far.
  public var counts: (cached: Int, executed: Int) { state.withLock { ($0.cached, $0.executed) } }

  /// A vertex begins; events go out under the lock, so that their order is that of the numbers.
  public func started(_ vertex: Vertex) {
    let now = Machine.now()
    state.withLock { state in
      guard state.ids[vertex.id] == nil else { return }
      let id = state.begin(now)
      state.ids[vertex.id] = id
      send(
        .stepStarted(
          ProgressStep(
            id: id, stage: vertex.stageName, index: vertex.stepIndex, total: vertex.stepCount,
            name: vertex.instructionText), at: now))
    }
  }

  /// What the solver tells. Bare file trees (`FROM scratch`) are no step for people.
  public func report(_ event: SolverEvent) {
    switch event {
    case .waiting(let vertex):
      started(vertex)
      log(vertex.id, .stderr, Array("waiting for another build that runs this step\n".utf8))
    case .started(let vertex): if vertex.op != .scratch { started(vertex) }
    case .cached(let vertex):
      if vertex.op != .scratch {
        started(vertex)
        finished(vertex.id, .cached)
      }
    case .finished(let vertex):
      // A base image that is there was not made by this build.
      if case .image = vertex.op { finished(vertex.id, .cached) } else { finished(vertex.id, .done) }
    case .failed(let vertex, let error):
      started(vertex)
      finished(vertex.id, .error((error as? ExecFailure)?.message ?? "\(error)"))
      if let export = state.withLock({ $0.export }) { end(export, .error("\(error)")) }
    case .cancelled(let vertex): finished(vertex.id, .cancelled)
    case .settling: _ = beginExport()
    }
  }

  /// Output of a vertex's process.
  public func log(_ vertex: VertexID, _ stream: ProgressEvent.Stream, _ bytes: [UInt8]) {
    let now = Machine.now()
    state.withLock { state in
      guard let id = state.ids[vertex] else { return }
      send(.stepLog(step: id, stream: stream, bytes: bytes, at: now))
    }
  }

  /// A vertex ended; a second call for it is ignored.
  public func finished(_ vertex: VertexID, _ outcome: ProgressEvent.Outcome) {
    let now = Machine.now()
    state.withLock { state in
      guard let id = state.ids[vertex], let start = state.started.removeValue(forKey: id) else { return }
      switch outcome {
      case .cached: state.cached += 1
      case .done: state.executed += 1
      case .error, .cancelled: break
      }
      send(.stepFinished(step: id, outcome: outcome, duration: now.nanoseconds(since: start), at: now))
    }
  }

  /// Work of Stave's own, shown as `[internal] name` while `body` runs.
  public func internalStep<T>(_ name: String, _ body: () async throws -> T) async throws -> T {
    try await internalStep(name) { _ in try await body() }
  }

  /// The same of work that has lines to tell.
  public func internalStep<T>(
    _ name: String, _ body: (_ log: @escaping @Sendable (String) -> Void) async throws -> T
  ) async throws -> T {
    let now = Machine.now()
    let id = state.withLock { state in
      let id = state.begin(now)
      send(.stepStarted(ProgressStep(id: id, stage: "internal", name: name), at: now))
      return id
    }
    return try await ending(id) {
      try await body { [send] line in
        send(.stepLog(step: id, stream: .stderr, bytes: Array((line + "\n").utf8), at: Machine.now()))
      }
    }
  }

  /// Shows `exporting to image` while `body` runs, and since layers of the result are all that is missing.
  public func export<T>(_ body: () async throws -> T) async throws -> T { try await ending(beginExport(), body) }

  private func beginExport() -> Int {
    let now = Machine.now()
    return state.withLock { state in
      if let id = state.export { return id }
      let id = state.begin(now)
      state.export = id
      send(.stepStarted(ProgressStep(id: id, stage: "internal", name: "exporting to image"), at: now))
      send(.message("exporting layers"))
      return id
    }
  }

  /// Ends the step `id` as `body` ends.
  private func ending<T>(_ id: Int, _ body: () async throws -> T) async throws -> T {
    do {
      let result = try await body()
      end(id, .done)
      return result
    } catch is CancellationError {
      end(id, .cancelled)
      throw CancellationError()
    } catch {
      end(id, .error("\(error)"))
      throw error
    }
  }

  /// A remark that does not end the build.
  public func warning(_ diagnostic: Diagnostic) { send(.warning(diagnostic)) }

  /// A line for people that belongs to no step.
  public func message(_ text: String) { send(.message(text)) }

  /// The last event.
  public func buildFinished(succeeded: Bool) {
    if let export = state.withLock({ $0.export }) { end(export, .cancelled) }
    send(.buildFinished(succeeded: succeeded, duration: Machine.now().nanoseconds(since: began)))
  }

  private func end(_ id: Int, _ outcome: ProgressEvent.Outcome) {
    let now = Machine.now()
    state.withLock { state in
      guard let start = state.started.removeValue(forKey: id) else { return }
      send(.stepFinished(step: id, outcome: outcome, duration: now.nanoseconds(since: start), at: now))
    }
  }
}

extension ProgressReporter.State {
  fileprivate mutating func begin(_ now: Timestamp) -> Int {
    defer { next += 1 }
    started[next] = now
    return next
  }
}
