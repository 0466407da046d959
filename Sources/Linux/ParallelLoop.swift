internal import Glibc

/// Runs loops on several processors for code that is itself synchronous, such as a compressor.
public enum ParallelLoop {
  /// Calls `body` once with each of 0 ..< `count`, on at most `width` threads (this one among them), and returns when
  /// all are done. The order is not defined.
  public static func run(_ count: Int, width: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let state = State(count: count, body: body)
    var threads: [pthread_t] = []
    for _ in 1..<max(1, min(count, width)) {
      var thread = pthread_t()
      let argument = Unmanaged.passRetained(state)
      let result = pthread_create(
        &thread, nil,
        { raw in
          if let raw { Unmanaged<State>.fromOpaque(raw).takeRetainedValue().work() }
          return nil
        }, argument.toOpaque())
      // With fewer threads the loop is only slower.
      if result != 0 {
        argument.release()
        break
      }
      threads.append(thread)
    }
    state.work()
    for thread in threads { pthread_join(thread, nil) }
  }

  private final class State: @unchecked Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    // Guarded by `mutex`.
    private var next = 0
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init(count: Int, body: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.body = body
      mutex = .allocate(capacity: 1)
      pthread_mutex_init(mutex, nil)
    }

    deinit {
      pthread_mutex_destroy(mutex)
      mutex.deallocate()
    }

    func work() {
      while let index = take() { body(index) }
    }

    private func take() -> Int? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      if next >= count { return nil }
      next += 1
      return next - 1
    }
  }
}
