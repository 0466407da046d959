internal import Synchronization

/// Lets a bounded number of tasks work at a time, in the order in which they came.
///
/// A cancelled task waits for its turn as well, which comes soon, since the tasks before it are cancelled too.
final class TaskLimit: Sendable {
  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Mutex<State>

  /// At most `width` at a time.
  init(_ width: Int) { state = Mutex(State(free: max(1, width))) }

  /// Runs `body` when it is its turn.
  func run<T: Sendable>(_ body: () async throws -> T) async throws -> T {
    await withCheckedContinuation { turn in
      let isNow = state.withLock { state in
        if state.free == 0 {
          state.waiting.append(turn)
          return false
        }
        state.free -= 1
        return true
      }
      if isNow { turn.resume() }
    }
    defer { next() }
    return try await body()
  }

  private func next() {
    let turn = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if state.waiting.isEmpty {
        state.free += 1
        return nil
      }
      return state.waiting.removeFirst()
    }
    turn?.resume()
  }
}
