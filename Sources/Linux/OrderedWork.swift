internal import CLinux

/// Work that several threads share and whose results are taken in order.
public enum OrderedWork {
  /// More threads there never are.
  public static let mostThreads = WorkWidth.most
  /// How long a result is waited for before more threads are started, in nanoseconds.
  private static let patience = 2_000_000

  /// Does all jobs that `next` gives, until it gives nil, by `work` on up to `width` threads, and hands the results to
  /// `take` on this thread, in the order of the jobs. `next` is called by one thread at a time. Where the caller waits
  /// for results while files come from the disk, up to 16 threads work, unless `width` is 1. No more than `window`
  /// results (and as many as there are threads) are held.
  ///
  /// Throws the first error, in the order of the jobs, and `CancellationError` if the task is cancelled.
  public static func run<Job: Sendable, Output: Sendable>(
    width: Int, window: Int, next: @escaping () throws -> Job?, work: @escaping @Sendable (Job) throws -> Output,
    take: (Output) throws -> Void
  ) throws {
    let state = State(width: WorkWidth(width), window: window, next: next, work: work)
    defer { state.stop() }
    state.start()
    while let output = try state.result() {
      try Task.checkCancellation()
      try take(output)
    }
  }

  private final class State<Job: Sendable, Output: Sendable>: @unchecked Sendable {
    private let window: Int
    private let next: () throws -> Job?
    private let work: @Sendable (Job) throws -> Output
    private let monitor = Monitor(conditions: 2)
    /// The condition that a result is there, or there will be no more.
    private static var ready: Int { 0 }
    /// The condition that a result was taken.
    private static var room: Int { 1 }
    // Guarded by `monitor`.
    private var threads: [Thread] = []
    private var results: [Int: Result<Output, any Error>] = [:]
    private var begun = 0
    private var taken = 0
    private var isAtEnd = false
    private var isStopped = false
    /// Whether `next` is being called.
    private var isAsking = false
    private var width: WorkWidth

    init(
      width: WorkWidth, window: Int, next: @escaping () throws -> Job?,
      work: @escaping @Sendable (Job) throws -> Output
    ) {
      self.width = width
      self.window = max(1, window)
      self.next = next
      self.work = work
    }

    func start() {
      monitor.lock()
      for _ in 0..<width.width { startThread() }
      monitor.unlock()
    }

    /// Called with `monitor` held.
    private func startThread() {
      if let thread = Thread.start({ [self] in loop() }) { threads.append(thread) }
    }

    func stop() {
      monitor.lock()
      isStopped = true
      monitor.broadcast(State.room)
      let threads = self.threads
      monitor.unlock()
      for thread in threads { thread.join() }
    }

    /// The next result in order, nil after the last.
    func result() throws -> Output? {
      monitor.lock()
      defer { monitor.unlock() }
      while true {
        if let result = results.removeValue(forKey: taken) {
          taken += 1
          monitor.signal(State.room)
          return try result.get()
        }
        if isAtEnd, taken == begun { return nil }
        // The system has no threads: this one does the work.
        if threads.isEmpty { return try alone() }
        if !monitor.wait(State.ready, atMost: OrderedWork.patience), !isAtEnd, width.wantsMore(than: threads.count) {
          startThread()
        }
      }
    }

    /// Called with `monitor` held, which nobody else wants.
    private func alone() throws -> Output? {
      guard let job = try next() else { return nil }
      return try work(job)
    }

    private func loop() {
      while let (number, job) = take() {
        let result = Result { try work(job) }
        monitor.lock()
        results[number] = result
        if number == taken { monitor.signal(State.ready) }
        monitor.unlock()
      }
    }

    /// The next job and its number; nil at the end.
    private func take() -> (Int, Job)? {
      monitor.lock()
      defer { monitor.unlock() }
      while !isStopped, !isAtEnd {
        if begun - taken >= window + threads.count || isAsking {
          monitor.wait(State.room)
          continue
        }
        isAsking = true
        monitor.unlock()
        let asked = Result { try next() }
        monitor.lock()
        isAsking = false
        // One more may ask.
        monitor.signal(State.room)
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
        monitor.broadcast(State.room)
        monitor.signal(State.ready)
      }
      return nil
    }
  }
}
