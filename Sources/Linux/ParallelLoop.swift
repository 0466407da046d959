/// Runs loops on several processors for code that is itself synchronous, such as a compressor.
public enum ParallelLoop {
  /// Calls `body` once with each of 0 ..< `count`, on at most `width` threads (this one among them), and returns when
  /// all are done. The order is not defined.
  public static func run(_ count: Int, width: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let state = State(count: count, body: body)
    var threads: [Thread] = []
    for _ in 1..<max(1, min(count, width)) {
      // With fewer threads the loop is only slower.
      guard let thread = Thread.start({ state.work() }) else { break }
      threads.append(thread)
    }
    state.work()
    for thread in threads { thread.join() }
  }

  private final class State: @unchecked Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    // Guarded by `monitor`.
    private var next = 0
    private let monitor = Monitor()

    init(count: Int, body: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.body = body
    }

    func work() {
      while let index = take() { body(index) }
    }

    private func take() -> Int? {
      monitor.lock()
      defer { monitor.unlock() }
      if next >= count { return nil }
      next += 1
      return next - 1
    }
  }
}
