internal import Core

/// `version`: constants, no store is opened.
public struct VersionInfo: Sendable {
  /// `0.1.0`.
  public var version: String
  public var os: String
  public var architecture: String
  public var kernel: String
}

/// One row of `system df`.
public struct DiskUsage: Sendable {
  /// `Images`, `Containers`, `Local Volumes`, `Build Cache`.
  public var type: String
  public var total: Int
  public var active: Int
  /// Bytes.
  public var size: Int64
  public var reclaimable: Int64
}

/// What a prune removed.
public struct PruneOutcome: Sendable {
  public var containers: [String] = []
  public var images = RemovedImages()
  /// Records of the build cache.
  public var cacheRecords: [String] = []
  /// Bytes freed.
  public var reclaimed: Int64 = 0
  public init() {}
}

/// One finding of `system check`.
public struct StoreProblem: Sendable, Equatable {
  /// `blob sha256:...: bytes do not match the digest`.
  public var description: String
  public var repaired: Bool
}

/// A name and its value, as `info` lists them.
public struct InfoEntry: Sendable, Equatable {
  /// `Layer Mount`.
  public var name: String
  public var value: String
}
