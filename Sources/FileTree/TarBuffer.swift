internal import Core
internal import Linux
internal import Synchronization

/// Bytes of an archive as they are put together, in one growing block of memory.
final class TarBuffer: @unchecked Sendable {
  private var base: UnsafeMutableRawPointer
  private(set) var capacity: Int
  private(set) var count = 0

  /// A piece of an archive: its size and a little more for what is put in front.
  static let pieceCapacity = SpareBlocks.size

  init(capacity: Int) {
    self.capacity = max(capacity, 1024)
    base = TarBuffer.spare.take(self.capacity) ?? .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { if !TarBuffer.spare.give(base, capacity) { base.deallocate() } }

  /// Blocks that were of use: they go from thread to thread, which the allocator serves badly.
  private static let spare = SpareBlocks()

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

/// A few blocks of memory of one size, for buffers that come and go.
private final class SpareBlocks: Sendable {
  static let size = 720_896
  private static let most = 8

  private struct Blocks: @unchecked Sendable {
    var free: [UnsafeMutableRawPointer] = []
  }
  private let blocks = Mutex(Blocks())

  func take(_ size: Int) -> UnsafeMutableRawPointer? {
    size == SpareBlocks.size ? blocks.withLock { $0.free.popLast() } : nil
  }

  /// Keeps a block; false if it is not wanted.
  func give(_ block: UnsafeMutableRawPointer, _ size: Int) -> Bool {
    blocks.withLock { blocks in
      guard size == SpareBlocks.size, blocks.free.count < SpareBlocks.most else { return false }
      blocks.free.append(block)
      return true
    }
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
