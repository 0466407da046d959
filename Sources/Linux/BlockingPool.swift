internal import Glibc

/// Threads of its own for system calls that block, so that the cooperative pool (a thread a core) never does.
///
/// A thread is made when all are busy, up to `limit`, and ends after the process. Use `run`.
public final class BlockingPool: TaskExecutor, @unchecked Sendable {
  /// The process's pool.
  public static let shared = BlockingPool(limit: 64)

  private let limit: Int
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  // Guarded by `mutex`.
  private var jobs: [UnownedJob] = []
  private var idle = 0
  private var threads = 0

  public init(limit: Int) {
    self.limit = limit
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  /// Runs `body` on a thread of the pool and returns what it returns. `body` runs to its end; by `Task.isCancelled` it
  /// can see that the caller was cancelled.
  public func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    let task = Task(executorPreference: self) { try body() }
    return try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  /// As `run`, of a body that does not throw.
  public func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await Task(executorPreference: self) { body() }.value
  }

  /// For the concurrency runtime: hands `job` to a thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    pthread_mutex_lock(mutex)
    jobs.append(job)
    // An idle thread that was signalled for an earlier job counts as idle until it runs: every job needs one of its
    // own, since the job before it may block for as long as it likes.
    if jobs.count > idle, threads < limit {
      startThread()
    } else {
      pthread_cond_signal(condition)
    }
    pthread_mutex_unlock(mutex)
  }

  /// One thread more, if the system has one: the job waits for another thread otherwise. Called with `mutex` held.
  private func startThread() {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { context in
        // The pointer passed to pthread_create above.
        // swift-format-ignore: NeverForceUnwrap
        Unmanaged<BlockingPool>.fromOpaque(context!).takeRetainedValue().work()
        return nil
      }, context)
    if result == 0 {
      threads += 1
      pthread_detach(thread)
    } else {
      Unmanaged<BlockingPool>.fromOpaque(context).release()
      guard threads > 0 else { fatalError("can't start a thread: \(SystemError.Code(rawValue: result).text)") }
      pthread_cond_signal(condition)
    }
  }

  private func work() {
    while true {
      pthread_mutex_lock(mutex)
      while jobs.isEmpty {
        idle += 1
        pthread_cond_wait(condition, mutex)
        idle -= 1
      }
      let job = jobs.removeFirst()
      pthread_mutex_unlock(mutex)
      job.runSynchronously(on: asUnownedTaskExecutor())
    }
  }
}
