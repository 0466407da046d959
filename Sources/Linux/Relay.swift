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
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var items: [Item] = []
    private var isEnded = false

    init(depth: Int, _ body: @escaping @Sendable (Item) -> Void) {
      self.depth = depth
      self.body = body
    }

    func send(_ item: Item) {
      monitor.lock()
      while items.count >= depth { monitor.wait() }
      items.append(item)
      monitor.broadcast()
      monitor.unlock()
    }

    func end() {
      monitor.lock()
      isEnded = true
      monitor.broadcast()
      monitor.unlock()
    }

    func loop() {
      while let item = take() { body(item) }
    }

    private func take() -> Item? {
      monitor.lock()
      defer { monitor.unlock() }
      while items.isEmpty {
        if isEnded { return nil }
        monitor.wait()
      }
      monitor.broadcast()
      return items.removeFirst()
    }
  }
}
