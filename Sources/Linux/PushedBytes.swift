/// Turns pushing into pulling: `body` reads on a thread of its own what `write` is given.
///
/// Not safe for writing from two threads at once. One that is let go without `finish` ends the body by an error.
public final class PushedBytes {
  private let state: State

  /// Calls `body` with a reader that follows `ByteSource.read(into:)`; up to `capacity` bytes wait for it. What `body`
  /// uses is the thread's alone until `finish` returns.
  public init(
    capacity: Int = 4 << 20,
    _ body: @escaping (_ read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Void
  ) throws {
    let state = State(capacity: capacity, body)
    self.state = state
    guard let thread = Thread.start({ state.work() }) else { throw SystemError(.again, "start a thread") }
    thread.detach()
  }

  deinit { state.end(isWhole: false) }

  /// Hands `bytes` over; waits while there is no room. Once the body has ended, however it did, they are dropped.
  public func write(_ bytes: UnsafeRawBufferPointer) { state.write(bytes) }

  /// Says that this was all, waits for the body, and throws what it threw. To be called once.
  public func finish() throws {
    state.end(isWhole: true)
    try state.result()
  }

  /// What both threads share: a ring of bytes.
  private final class State: @unchecked Sendable {
    private let body: (@escaping (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Void
    private let ring: UnsafeMutableRawBufferPointer
    private let monitor = Monitor()
    // Guarded by `monitor`; the bytes between `start` and `start + count` belong to the reader, the rest to the writer.
    private var start = 0
    private var count = 0
    private var end: Bool?
    private var outcome: Result<Void, any Error>?

    init(
      capacity: Int, _ body: @escaping (@escaping (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Void
    ) {
      self.body = body
      ring = .allocate(byteCount: capacity, alignment: 4096)
    }

    deinit { ring.deallocate() }

    func work() {
      let outcome = Result { try body { [self] in try read(into: $0) } }
      monitor.lock()
      self.outcome = outcome
      monitor.broadcast()
      monitor.unlock()
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
      var rest = bytes[...]
      while !rest.isEmpty {
        guard let (at, room) = room() else { return }
        let part = rest.prefix(room)
        UnsafeMutableRawBufferPointer(rebasing: ring[at..<(at + part.count)])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
        monitor.lock()
        count += part.count
        monitor.broadcast()
        monitor.unlock()
        rest = rest.dropFirst(part.count)
      }
    }

    /// Where the writer may write, and how many bytes in one piece; nil when nobody will read them.
    private func room() -> (at: Int, count: Int)? {
      monitor.lock()
      defer { monitor.unlock() }
      while count == ring.count, outcome == nil { monitor.wait() }
      if outcome != nil { return nil }
      let at = (start + count) % ring.count
      return (at, min(ring.count - count, ring.count - at))
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
      monitor.lock()
      while count == 0, end == nil { monitor.wait() }
      if end == false {
        monitor.unlock()
        throw SystemError(.interrupted, "read what is written")
      }
      let (at, size) = (start, min(buffer.count, min(count, ring.count - start)))
      monitor.unlock()
      if size == 0 { return 0 }
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: ring[at..<(at + size)]))
      monitor.lock()
      start = (start + size) % ring.count
      count -= size
      monitor.broadcast()
      monitor.unlock()
      return size
    }

    func end(isWhole: Bool) {
      monitor.lock()
      if end == nil { end = isWhole }
      monitor.broadcast()
      monitor.unlock()
    }

    func result() throws {
      monitor.lock()
      while outcome == nil { monitor.wait() }
      let outcome = outcome
      monitor.unlock()
      try outcome?.get()
    }
  }
}
