internal import Core
internal import Linux

/// Bytes of an archive as they are put together, in one growing block of memory.
final class TarBuffer: @unchecked Sendable {
  private var base: UnsafeMutableRawPointer
  private(set) var capacity: Int
  private(set) var count = 0

  init(capacity: Int) {
    self.capacity = max(capacity, 1024)
    base = .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { base.deallocate() }

  /// All bytes so far; valid until the buffer changes.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Room for `size` more bytes, whose content is undefined; valid until the buffer changes.
  func room(_ size: Int) -> UnsafeMutableRawBufferPointer {
    if count + size > capacity { grow(to: max(count + size, 2 * capacity)) }
    return UnsafeMutableRawBufferPointer(start: base + count, count: size)
  }

  /// Takes the first `size` bytes of the room as written.
  func advance(_ size: Int) { count += size }

  func append(_ more: UnsafeRawBufferPointer) {
    room(more.count).copyMemory(from: more)
    count += more.count
  }

  func append(_ more: some Collection<UInt8>) {
    room(more.count).copyBytes(from: more)
    count += more.count
  }

  func appendZeros(_ size: Int) {
    room(size).initializeMemory(as: UInt8.self, repeating: 0)
    count += size
  }

  func removeAll() { count = 0 }

  private func grow(to size: Int) {
    let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
    capacity = size
  }
}

/// The SHA-256 of buffers that are not changed any more, made on a thread of its own once there is much to hash.
final class BackgroundHasher {
  private final class State: @unchecked Sendable {
    // Touched by the relay's thread only, from when there is one until it has finished.
    var hasher = SHA256Hasher()
  }

  /// Fewer bytes than this are hashed sooner than a thread is started.
  private static let threshold = 1 << 20

  private let state = State()
  private var relay: Relay<TarBuffer>?
  private var count = 0

  /// Adds the bytes of `buffer`.
  func update(_ buffer: TarBuffer) {
    count += buffer.count
    if relay == nil, count > BackgroundHasher.threshold, Machine.processorCount > 1 {
      relay = Relay(depth: 4) { [state] in state.hasher.update($0.bytes) }
    }
    if let relay { relay.send(buffer) } else { state.hasher.update(buffer.bytes) }
  }

  /// The digest of all bytes so far; nothing can be added after that.
  func digest() -> Digest {
    relay?.finish()
    return state.hasher.digest()
  }
}
