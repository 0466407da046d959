/// Jobs that make further jobs, done on several threads, the youngest first: a walk through a tree stays narrow.
public final class JobStack<Job: Sendable>: @unchecked Sendable {
  private let body: @Sendable (Job, Int, JobStack<Job>) throws -> Void
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private var jobs: [Job] = []
  private var busy = 0
  private var idle = 0
  private var threads: [Thread] = []
  private var failure: (any Error)?
  private var width: WorkWidth

  /// More threads there never are.
  public static var mostThreads: Int { WorkWidth.most }
  /// A job that takes longer than this may wait for the disk, in nanoseconds.
  private static var patience: Int64 { 3_000_000 }

  /// Does `first` and all jobs that come of it, on up to `width` threads, this one among them, or where they wait for
  /// the disk, unless `width` is 1, on up to 16: `body` gets a job, the number of the thread (from 0), and the stack
  /// for more. Returns when all are done. Throws the first error, and `CancellationError` if the task is cancelled;
  /// then the jobs that are left are dropped.
  public static func run(
    _ first: [Job], width: Int, _ body: @escaping @Sendable (Job, Int, JobStack<Job>) throws -> Void
  ) throws {
    let stack = JobStack(WorkWidth(width), body)
    stack.push(first)
    stack.work(0, isCaller: true)
    for thread in stack.threads { thread.join() }
    if let failure = stack.failure { throw failure }
  }

  private init(_ width: WorkWidth, _ body: @escaping @Sendable (Job, Int, JobStack<Job>) throws -> Void) {
    self.width = width
    self.body = body
  }

  /// Adds jobs; the last of them is done first.
  public func push(_ more: [Job]) {
    if more.isEmpty { return }
    monitor.lock()
    defer { monitor.unlock() }
    if failure != nil { return }
    jobs.append(contentsOf: more)
    // The pushing thread takes one of them itself.
    let wanted = jobs.count - 1
    for _ in 0..<min(idle, max(0, wanted)) { monitor.signal() }
    while threads.count < width.width - 1, busy > 0, threads.count + 1 - busy < wanted, idle == 0 {
      if !startThread(threads.count + 1) { break }
    }
  }

  /// Called with `monitor` held. With fewer threads the work is only slower.
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
    monitor.lock()
    defer { monitor.unlock() }
    guard idle == 0, jobs.count > 1, width.wantsMore(than: threads.count + 1) else { return }
    _ = startThread(threads.count + 1)
  }

  private func take() -> Job? {
    monitor.lock()
    defer { monitor.unlock() }
    while true {
      if let job = jobs.popLast() {
        busy += 1
        return job
      }
      if busy == 0 { return nil }
      idle += 1
      monitor.wait()
      idle -= 1
    }
  }

  private func finish(_ error: (any Error)?) {
    monitor.lock()
    busy -= 1
    if let error {
      failure = failure ?? error
      jobs = []
    }
    if busy == 0, jobs.isEmpty { monitor.broadcast() }
    monitor.unlock()
  }
}
