internal import CLinux
internal import Glibc

/// The process's threads: for system calls that block, and, where `runMain` is the program, for everything else.
///
/// Jobs that don't block run on as many threads as there are processors. A thread that enters `run` gives its place
/// to another one, which is made when all are busy, up to `limit`; threads end with the process. So nothing waits for
/// a call that blocks, and a program that does one thing at a time never has a second thread.
public final class BlockingPool: TaskExecutor, @unchecked Sendable {
  /// The process's pool.
  public static let shared = BlockingPool(limit: 64)

  private let limit: Int
  /// How many threads may be `active`.
  private let width: Int
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private var jobs: [Job] = []
  private var threads = 0
  /// Threads without a job: they start, wait, or have been woken.
  private var idle = 0
  /// Threads with a job that are not within `run`.
  private var active = 0

  private enum Job {
    /// Of a task that prefers this pool.
    case preferred(UnownedJob)
    /// Of a task that names no executor: a pointer for the runtime.
    case common(UnsafeMutableRawPointer)
  }

  /// A pool of at most `limit` threads, of which `width` (nil: one a processor) run jobs outside `run`.
  public init(limit: Int, width: Int? = nil) {
    self.limit = limit
    self.width = max(1, width ?? Machine.processorCount)
  }

  /// Runs `body`, which may block, on a thread of the pool and returns what it returns: on this one where it is the
  /// pool's. `body` runs to its end; by `Task.isCancelled` it can see that the caller was cancelled.
  public func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    if isCurrent { return try blocking(body) }
    let isCancelled = Task.isCancelled
    let task = Task(executorPreference: self) { [self] in
      // A body that begins before the handler below tells it must know all the same.
      if isCancelled { withUnsafeCurrentTask { $0?.cancel() } }
      return try blocking(body)
    }
    return try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  /// As `run`, of a body that does not throw.
  public func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    if isCurrent { return blocking(body) }
    return await Task(executorPreference: self) { [self] in blocking(body) }.value
  }

  /// The main thread's whole life: it becomes one of the shared pool's and runs `body`, a task, which ends the process.
  /// All tasks run on that pool from now on: the runtime's own never comes to be, but for its timer thread where a task
  /// sleeps.
  public static func runMain(_ body: @escaping @Sendable () async -> Never) -> Never {
    stave_take_jobs { job in
      // The runtime hands over jobs, not NULL.
      // swift-format-ignore: NeverForceUnwrap
      BlockingPool.shared.add(.common(job!))
    }
    shared.becomeThread()
    Task { await body() }
    shared.work()
  }

  /// Counts this thread as one of the pool's.
  private func becomeThread() {
    monitor.lock()
    threads += 1
    idle += 1
    monitor.unlock()
  }

  /// For the concurrency runtime: hands `job` to a thread.
  public func enqueue(_ job: consuming ExecutorJob) { add(.preferred(UnownedJob(job))) }

  private func add(_ job: Job) {
    monitor.lock()
    jobs.append(job)
    provideThread()
    monitor.unlock()
  }

  /// Whether this thread is one of the pool's.
  private var isCurrent: Bool { stave_thread_pool() == Unmanaged.passUnretained(self).toOpaque() }

  /// Runs `body` while another thread may have this one's place. Within itself it changes nothing.
  private func blocking<T>(_ body: () throws -> T) rethrows -> T {
    guard stave_thread_enter_blocking() != 0 else { return try body() }
    monitor.lock()
    active -= 1
    if !jobs.isEmpty { provideThread() }
    monitor.unlock()
    defer {
      stave_thread_leave_blocking()
      monitor.lock()
      active += 1
      monitor.unlock()
    }
    return try body()
  }

  /// Sees to it that a thread comes for each job that may run now; those that run a job come by themselves when it
  /// ends. Called with `monitor` held, after a job was added or a place became free.
  private func provideThread() {
    let wanted = min(jobs.count, width - active)
    if wanted <= 0 { return }
    if wanted > idle, threads < limit {
      startThread()
    } else {
      monitor.signal()
    }
  }

  /// One thread more, if the system has one: the job waits for another thread otherwise. Called with `monitor` held.
  private func startThread() {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { context in
        // The pointer passed to pthread_create above.
        // swift-format-ignore: NeverForceUnwrap
        Unmanaged<BlockingPool>.fromOpaque(context!).takeRetainedValue().work()
      }, context)
    if result == 0 {
      threads += 1
      idle += 1
      pthread_detach(thread)
    } else {
      Unmanaged<BlockingPool>.fromOpaque(context).release()
      guard threads > 0 else { fatalError("can't start a thread: \(SystemError.Code(rawValue: result).text)") }
      monitor.signal()
    }
  }

  private func work() -> Never {
    stave_thread_set_pool(Unmanaged.passUnretained(self).toOpaque())
    monitor.lock()
    while true {
      while jobs.isEmpty || active >= width { monitor.wait() }
      let job = jobs.removeFirst()
      idle -= 1
      active += 1
      monitor.unlock()
      switch job {
      case .preferred(let job): job.runSynchronously(on: asUnownedTaskExecutor())
      case .common(let job): stave_run_job(job)
      }
      monitor.lock()
      idle += 1
      active -= 1
      // More places than one can become free at a time where threads came back from blocking.
      if jobs.count > 1 { provideThread() }
    }
  }
}
