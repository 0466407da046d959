internal import CLinux
internal import Glibc

/// Work that several threads share and whose results are taken in order.
public enum OrderedWork {
  /// More threads than processors are of use only while they wait for the disk.
  public static let mostThreads = 16
  /// How long a result is waited for before more threads are started, in nanoseconds.
  private static let patience = 2_000_000

  /// Does all jobs that `next` gives, until it gives nil, by `work` on up to `width` threads, and hands the results to
  /// `take` on this thread, in the order of the jobs. `next` is called by one thread at a time. Where the caller waits
  /// for results while files come from the disk, up to 16 threads work. No more than `window` results (and as many as
  /// there are threads) are held.
  ///
  /// Throws the first error, in the order of the jobs, and `CancellationError` if the task is cancelled.
  public static func run<Job: Sendable, Output: Sendable>(
    width: Int, window: Int, next: @escaping () throws -> Job?, work: @escaping @Sendable (Job) throws -> Output,
    take: (Output) throws -> Void
  ) throws {
    let state = State(window: window, next: next, work: work)
    defer { state.stop() }
    state.start(max(1, width))
    while let output = try state.result() {
      try Task.checkCancellation()
      try take(output)
    }
  }

  private final class State<Job: Sendable, Output: Sendable>: @unchecked Sendable {
    private let window: Int
    private let next: () throws -> Job?
    private let work: @Sendable (Job) throws -> Output
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    /// A result is there, or there will be no more.
    private let ready: UnsafeMutablePointer<pthread_cond_t>
    /// A result was taken.
    private let room: UnsafeMutablePointer<pthread_cond_t>
    // Guarded by `mutex`.
    private var threads: [Thread] = []
    private var results: [Int: Result<Output, any Error>] = [:]
    private var begun = 0
    private var taken = 0
    private var isAtEnd = false
    private var isStopped = false
    /// Whether `next` is being called.
    private var isAsking = false
    private var reads = DiskReads()

    init(
      window: Int, next: @escaping () throws -> Job?, work: @escaping @Sendable (Job) throws -> Output
    ) {
      self.window = max(1, window)
      self.next = next
      self.work = work
      mutex = .allocate(capacity: 1)
      ready = .allocate(capacity: 1)
      room = .allocate(capacity: 1)
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(ready, nil)
      pthread_cond_init(room, nil)
    }

    deinit {
      pthread_cond_destroy(ready)
      pthread_cond_destroy(room)
      pthread_mutex_destroy(mutex)
      ready.deallocate()
      room.deallocate()
      mutex.deallocate()
    }

    func start(_ count: Int) {
      pthread_mutex_lock(mutex)
      for _ in 0..<count { startThread() }
      pthread_mutex_unlock(mutex)
    }

    /// Called with `mutex` held.
    private func startThread() {
      if let thread = Thread.start({ [self] in loop() }) { threads.append(thread) }
    }

    func stop() {
      pthread_mutex_lock(mutex)
      isStopped = true
      pthread_cond_broadcast(room)
      let threads = self.threads
      pthread_mutex_unlock(mutex)
      for thread in threads { thread.join() }
    }

    /// The next result in order, nil after the last.
    func result() throws -> Output? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while true {
        if let result = results.removeValue(forKey: taken) {
          taken += 1
          pthread_cond_signal(room)
          return try result.get()
        }
        if isAtEnd, taken == begun { return nil }
        // The system has no threads: this one does the work.
        if threads.isEmpty { return try alone() }
        if !wait(), threads.count < OrderedWork.mostThreads, !isAtEnd, reads.haveGrown() { startThread() }
      }
    }

    /// Called with `mutex` held, which nobody else wants.
    private func alone() throws -> Output? {
      guard let job = try next() else { return nil }
      return try work(job)
    }

    /// Waits for a result; false if that takes long.
    private func wait() -> Bool {
      var until = timespec()
      clock_gettime(CLOCK_REALTIME, &until)
      until.tv_nsec += OrderedWork.patience
      if until.tv_nsec >= 1_000_000_000 {
        until.tv_nsec -= 1_000_000_000
        until.tv_sec += 1
      }
      return pthread_cond_timedwait(ready, mutex, &until) == 0
    }

    private func loop() {
      while let (number, job) = take() {
        let result = Result { try work(job) }
        pthread_mutex_lock(mutex)
        results[number] = result
        if number == taken { pthread_cond_signal(ready) }
        pthread_mutex_unlock(mutex)
      }
    }

    /// The next job and its number; nil at the end.
    private func take() -> (Int, Job)? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while !isStopped, !isAtEnd {
        if begun - taken >= window + threads.count || isAsking {
          pthread_cond_wait(room, mutex)
          continue
        }
        isAsking = true
        pthread_mutex_unlock(mutex)
        let asked = Result { try next() }
        pthread_mutex_lock(mutex)
        isAsking = false
        // One more may ask.
        pthread_cond_signal(room)
        switch asked {
        case .success(let job?):
          begun += 1
          return (begun - 1, job)
        case .success(nil): isAtEnd = true
        case .failure(let error):
          results[begun] = .failure(error)
          begun += 1
          isAtEnd = true
        }
        pthread_cond_broadcast(room)
        pthread_cond_signal(ready)
      }
      return nil
    }
  }
}
