internal import Glibc

/// Hands items to a thread of its own, in order: what is sent is worked on while the sender goes on.
///
/// Not safe for sending from two threads at once.
public final class Relay<Item: Sendable> {
  private let state: State
  private var thread: Thread?

  /// A relay that calls `body` with each item and holds up to `depth` of them.
  public init(depth: Int, _ body: @escaping @Sendable (Item) -> Void) {
    let state = State(depth: max(1, depth), body)
    self.state = state
    thread = Thread.start { state.loop() }
  }

  deinit { finish() }

  /// Sends `item`; waits while there are too many before it.
  public func send(_ item: Item) {
    // Without a thread it is only slower.
    if thread == nil { state.body(item) } else { state.send(item) }
  }

  /// Waits until all items are done. Nothing can be sent after that.
  public func finish() {
    guard let thread else { return }
    state.end()
    thread.join()
    self.thread = nil
  }

  private final class State: @unchecked Sendable {
    let body: @Sendable (Item) -> Void
    private let depth: Int
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    // Guarded by `mutex`.
    private var items: [Item] = []
    private var isEnded = false

    init(depth: Int, _ body: @escaping @Sendable (Item) -> Void) {
      self.depth = depth
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

    func send(_ item: Item) {
      pthread_mutex_lock(mutex)
      while items.count >= depth { pthread_cond_wait(changed, mutex) }
      items.append(item)
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }

    func end() {
      pthread_mutex_lock(mutex)
      isEnded = true
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }

    func loop() {
      while let item = take() { body(item) }
    }

    private func take() -> Item? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while items.isEmpty {
        if isEnded { return nil }
        pthread_cond_wait(changed, mutex)
      }
      pthread_cond_broadcast(changed)
      return items.removeFirst()
    }
  }
}
