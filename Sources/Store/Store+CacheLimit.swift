internal import Core
internal import Linux

/// How large the build cache may grow.
public enum CacheLimit: Sendable, Equatable {
  case bytes(Int64)
  /// Of the disk that holds the store.
  case percent(Int)
  case unlimited

  /// What a build keeps to if nobody says otherwise.
  public static let standard = CacheLimit.percent(10)
}

extension Store {
  /// Collects the build cache if the layers that this process made since the last call could have made it larger than
  /// `limit`: the records of least value go until it is a tenth below. Returns what was removed, nil if nothing had to
  /// be looked at.
  ///
  /// Whether it could be is told by a number in a file, to which every build adds what it made; only where that
  /// passes the limit is the store read, and the number set right, as by every collection. Where a build was killed
  /// the number is forgotten.
  public func limitCache(to limit: CacheLimit) throws -> PrunePlan? {
    let added = takeAdded()
    guard added > 0 else { return nil }
    let estimate = try growCacheEstimate(by: added)
    let bytes: Int64
    switch limit {
    case .unlimited: return nil
    case .bytes(let count): bytes = max(0, count)
    case .percent(let share): bytes = try HostPath.space(root).total / 100 * Int64(min(max(0, share), 100))
    }
    guard estimate > bytes else { return nil }
    return try prune { inventory in
      let now = Machine.now()
      let look = PrunePlan(inventory, PrunePlan.Scope(), now: now)
      guard look.cacheBefore > bytes else {
        var nothing = PrunePlan()
        nothing.cacheBefore = look.cacheBefore
        nothing.cacheAfter = look.cacheBefore
        return nothing
      }
      return PrunePlan(inventory, PrunePlan.Scope(buildCache: true, keepStorage: bytes / 10 * 9), now: now)
    }
  }

  /// Counts what this process made for the next build's `limitCache`, and looks at nothing: for a build that was
  /// cancelled.
  public func countCache() throws {
    let added = takeAdded()
    if added > 0 { try growCacheEstimate(by: added) }
  }

  /// Adds `bytes` to the upper bound of the build cache's size; returns the sum. Without a number it is unknown: the
  /// largest.
  @discardableResult
  func growCacheEstimate(by bytes: Int64) throws -> Int64 {
    let lock = try FileLock.acquire(paths.cacheSize, .exclusive)
    defer { lock.release() }
    let text = String(decoding: try HostPath.read(paths.cacheSize, limit: 4096), as: UTF8.self)
    guard let before = Int64(text) else { return .max }
    let (sum, overflow) = before.addingReportingOverflow(max(0, bytes))
    try OpenFile(paths.cacheSize, .create).write(Array(String(overflow ? .max : sum).utf8))
    return overflow ? .max : sum
  }

  /// Sets the number right; under the exclusive gate, so that whoever adds to it before made what was seen.
  func setCacheEstimate(_ bytes: Int64) throws { try writeCacheEstimate(String(bytes)) }

  /// From now on the size is unknown.
  func forgetCacheEstimate() throws { try writeCacheEstimate("") }

  private func writeCacheEstimate(_ text: String) throws {
    let lock = try FileLock.acquire(paths.cacheSize, .exclusive)
    defer { lock.release() }
    try OpenFile(paths.cacheSize, .create).write(Array(text.utf8))
  }
}
