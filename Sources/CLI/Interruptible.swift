internal import Linux
internal import Synchronization

/// Runs `body` in a task that Ctrl-C (SIGINT, SIGTERM, SIGHUP) cancels; then throws `CancellationError`, whatever
/// error the cancelled work ended with.
///
/// A second signal does what it does by default: it ends the process.
func interruptible<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
  let work = Task { try await body() }
  let isOver = OverFlag()
  Task {
    await BlockingPool.shared.run {
      // The queue lives in this closure alone: its end gives the signals their own actions back.
      guard let queue = try? SignalQueue([.interrupt, .terminate, .hangup]) else { return }
      while !isOver.isSet {
        guard (try? queue.next(milliseconds: 50)) ?? nil != nil else { continue }
        work.cancel()
        return
      }
    }
  }
  defer { isOver.set() }
  do {
    return try await work.value
  } catch {
    throw work.isCancelled ? CancellationError() : error
  }
}

/// Tells the watching thread that nobody needs it any more.
private final class OverFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
