/// Reads ahead on a thread of its own: while the caller hashes or writes one chunk, the next is read or decompressed.
///
/// Not safe for use from two threads at once. When the reader goes, its thread ends after the read that is under way.
public final class BackgroundReader {
  private let state: State
  private var chunk: State.Chunk?
  private var at = 0

  /// A reader of what `read` gives, which follows `ByteSource.read(into:)` and is called on the thread only, up to
  /// `depth` chunks of `chunkSize` bytes ahead.
  public init(chunkSize: Int, depth: Int, _ read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) {
    state = State(chunkSize: chunkSize, depth: depth, read)
    state.start()
  }

  deinit {
    if let chunk { chunk.buffer.deallocate() }
    state.stop()
  }

  /// Copies at least one byte into `buffer`; 0 at the end. Throws what the read threw, after all that came before it.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    if chunk == nil {
      chunk = try state.take()
      at = 0
    }
    guard let chunk else { return 0 }
    let count = min(buffer.count, chunk.count - at)
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: chunk.buffer[at..<(at + count)]))
    at += count
    if at == chunk.count {
      state.giveBack(chunk.buffer)
      self.chunk = nil
    }
    return count
  }

  /// What the thread and the reader share.
  private final class State: @unchecked Sendable {
    struct Chunk {
      var buffer: UnsafeMutableRawBufferPointer
      var count: Int
    }

    private let read: (UnsafeMutableRawBufferPointer) throws -> Int
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var free: [UnsafeMutableRawBufferPointer] = []
    private var full: [Chunk] = []
    private var end: Result<Void, any Error>?
    private var isStopped = false

    init(chunkSize: Int, depth: Int, _ read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) {
      self.read = read
      for _ in 0..<max(2, depth) { free.append(.allocate(byteCount: chunkSize, alignment: 4096)) }
    }

    deinit {
      for buffer in free { buffer.deallocate() }
      for chunk in full { chunk.buffer.deallocate() }
    }

    func start() {
      if let thread = Thread.start({ [self] in work() }) {
        thread.detach()
      } else {
        end = .failure(SystemError(.again, "start a thread"))
      }
    }

    func stop() {
      monitor.lock()
      isStopped = true
      monitor.broadcast()
      monitor.unlock()
    }

    func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
      monitor.lock()
      free.append(buffer)
      monitor.broadcast()
      monitor.unlock()
    }

    /// The oldest full chunk, nil at the end.
    func take() throws -> Chunk? {
      monitor.lock()
      defer { monitor.unlock() }
      while true {
        if !full.isEmpty { return full.removeFirst() }
        if let end {
          try end.get()
          return nil
        }
        monitor.wait()
      }
    }

    private func work() {
      while let buffer = takeFree() {
        // Filled whole: fewer chunks, fewer switches.
        var count = 0
        var end: Result<Void, any Error>?
        do {
          while count < buffer.count {
            let more = try read(UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            if more == 0 {
              end = .success(())
              break
            }
            count += more
          }
        } catch {
          end = .failure(error)
        }
        monitor.lock()
        if count > 0 { full.append(Chunk(buffer: buffer, count: count)) } else { free.append(buffer) }
        self.end = end
        monitor.broadcast()
        monitor.unlock()
        if end != nil { return }
      }
    }

    private func takeFree() -> UnsafeMutableRawBufferPointer? {
      monitor.lock()
      defer { monitor.unlock() }
      while free.isEmpty && !isStopped { monitor.wait() }
      return isStopped ? nil : free.removeLast()
    }
  }
}
