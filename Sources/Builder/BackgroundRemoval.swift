internal import Linux
internal import Synchronization

/// Removes directories that are of no use any more, one after another, while the build goes on.
final class BackgroundRemoval: Sendable {
  private struct State {
    var paths: [String] = []
    var worker: Task<Void, Never>?
  }
  private let state = Mutex(State())

  /// Removes `path` some time before `finish` returns.
  func remove(_ path: String) {
    state.withLock { state in
      state.paths.append(path)
      if state.worker == nil { state.worker = Task { await BlockingPool.shared.run { self.work() } } }
    }
  }

  /// Waits until nothing is left to be removed.
  func finish() async {
    while let worker = state.withLock({ $0.worker }) { await worker.value }
  }

  private func work() {
    while let path = next() {
      // What can't be removed goes with the process's temporary directory.
      try? HostPath.removeTree(path)
    }
  }

  private func next() -> String? {
    state.withLock { state in
      if state.paths.isEmpty {
        state.worker = nil
        return nil
      }
      return state.paths.removeFirst()
    }
  }
}
