internal import Synchronization

/// The rests of executed vertices: a failing vertex does not cancel them, as it does what else runs in the solver's
/// group; the solver's own cancellation does.
final class RestTasks: Sendable {
  private struct State {
    var isCancelled = false
    var tasks: [Task<Void, any Error>] = []
  }
  private let state = Mutex(State())

  /// Runs `body` to its end, whether the calling task is cancelled or not.
  func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await body() }
    let isCancelled = state.withLock { state in
      state.tasks.append(task)
      return state.isCancelled
    }
    if isCancelled { task.cancel() }
    try await task.value
  }

  /// Cancels what runs and what is still to come.
  func cancel() {
    let tasks = state.withLock { state in
      state.isCancelled = true
      return state.tasks
    }
    for task in tasks { task.cancel() }
  }
}
