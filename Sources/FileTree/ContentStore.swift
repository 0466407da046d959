internal import Linux
internal import Synchronization

/// Memory for the contents of small files between the reading for a key and the writing of a layer, so that each file
/// is read once. Up to a bound: what does not fit is read again.
public final class ContentStore: Sendable {
  private static let slabSize = 4 << 20
  /// Of larger files the second reading costs little beside the hashing.
  static let largestFile: Int64 = 1 << 20

  private struct Slabs: @unchecked Sendable {
    var slabs: [UnsafeMutableRawPointer] = []
    var filled = 0
  }

  private let limit: Int
  private let slabs = Mutex(Slabs())

  /// A store of up to `limit` bytes. Memory is taken as it is needed and given back when the store goes.
  public init(limit: Int = 48 << 20) { self.limit = limit }

  deinit {
    slabs.withLock { for slab in $0.slabs { slab.deallocate() } }
  }

  /// `count` bytes, not aligned; nil if there is no room for them.
  func reserve(_ count: Int) -> UnsafeMutableRawPointer? {
    slabs.withLock { state in
      guard count <= ContentStore.slabSize else { return nil }
      if state.slabs.isEmpty || state.filled + count > ContentStore.slabSize {
        guard (state.slabs.count + 1) * ContentStore.slabSize <= limit else { return nil }
        state.slabs.append(.allocate(byteCount: ContentStore.slabSize, alignment: 4096))
        state.filled = 0
      }
      defer { state.filled += count }
      return state.slabs.last.map { $0 + state.filled }
    }
  }
}
