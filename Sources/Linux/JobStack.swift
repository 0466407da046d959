internal import Glibc

/// Jobs that make further jobs, done on several threads, the youngest first: a walk through a tree stays narrow.
public final class JobStack<Job: Sendable>: @unchecked Sendable {
  private let width: Int
  private let body: @Sendable (Job, Int, JobStack<Job>) throws -> Void
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  // Guarded by `mutex`.
  private var jobs: [Job] = []
  private var busy = 0
  private var idle = 0
  private var threads: [Thread] = []
  private var failure: (any Error)?
  private var reads = DiskReads()

  /// More threads than processors are of use only while they wait for the disk.
  public static var mostThreads: Int { 16 }
  /// A job that takes longer than this may wait for the disk, in nanoseconds.
  private static var patience: Int64 { 3_000_000 }

  /// Does `first` and all jobs that come of it, on up to `width` threads, this one among them, or where they wait for
  /// the disk on up to 16: `body` gets a job, the number of the thread (from 0), and the stack for more. Returns when
  /// all are done. Throws the first error, and `CancellationError` if the task is cancelled; then the jobs that are left
  /// are dropped.
  public static func run(
    _ first: [Job], width: Int, _ body: @escaping @Sendable (Job, Int, JobStack<Job>) throws -> Void
  ) throws {
    let stack = JobStack(width: max(1, width), body)
    stack.push(first)
    stack.work(0, isCaller: true)
    for thread in stack.threads { thread.join() }
    if let failure = stack.failure { throw failure }
  }

  private init(width: Int, _ body: @escaping @Sendable (Job, Int, JobStack<Job>) throws -> Void) {
    self.width = width
    self.body = body
    mutex = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Adds jobs; the last of them is done first.
  public func push(_ more: [Job]) {
    if more.isEmpty { return }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if failure != nil { return }
    jobs.append(contentsOf: more)
    // The pushing thread takes one of them itself.
    let wanted = jobs.count - 1
    for _ in 0..<min(idle, max(0, wanted)) { pthread_cond_signal(changed) }
    while threads.count < width - 1, busy > 0, threads.count + 1 - busy < wanted, idle == 0 {
      if !startThread(threads.count + 1) { break }
    }
  }

  /// Called with `mutex` held. With fewer threads the work is only slower.
  private func startThread(_ number: Int) -> Bool {
    guard let thread = Thread.start({ [self] in work(number, isCaller: false) }) else { return false }
    threads.append(thread)
    return true
  }

  private func work(_ number: Int, isCaller: Bool) {
    while let job = take() {
      let started = Machine.monotonicNanoseconds()
      defer {
        if Machine.monotonicNanoseconds() - started > JobStack.patience { widen() }
      }
      do {
        // Only the caller's thread belongs to a task.
        if isCaller { try Task.checkCancellation() }
        try body(job, number, self)
        finish(nil)
      } catch {
        finish(error)
      }
    }
  }

  /// One thread more, if there is work for it and the disk is what is waited for.
  private func widen() {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard threads.count + 1 < JobStack.mostThreads, width > 1, idle == 0, jobs.count > 1, reads.haveGrown() else {
      return
    }
    _ = startThread(threads.count + 1)
  }

  private func take() -> Job? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let job = jobs.popLast() {
        busy += 1
        return job
      }
      if busy == 0 { return nil }
      idle += 1
      pthread_cond_wait(changed, mutex)
      idle -= 1
    }
  }

  private func finish(_ error: (any Error)?) {
    pthread_mutex_lock(mutex)
    busy -= 1
    if let error {
      failure = failure ?? error
      jobs = []
    }
    if busy == 0, jobs.isEmpty { pthread_cond_broadcast(changed) }
    pthread_mutex_unlock(mutex)
  }
}
