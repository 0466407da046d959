public import Core

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

/// An image in `system df -v`.
public struct ImageUsage: Sendable {
  public var image: ImageSummary
  /// Bytes of layers that other images have too.
  public var sharedSize: Int64
  public var uniqueSize: Int64
}

/// A volume in `system df -v`.
public struct VolumeUsage: Sendable {
  public var name: String
  public var size: Int64
}

/// A step record in `system df -v` and `builder du`.
public struct CacheUsage: Sendable {
  /// 25 hexadecimal digits.
  public var id: String
  /// The steps on whose result it stands.
  public var parents: [String]
  /// `RUN make`.
  public var description: String
  /// Bytes of its layer and its own files.
  public var size: Int64
  public var created: Timestamp
  public var lastUsed: Timestamp
  /// Whether an image has its layer too.
  public var isShared: Bool
  /// Whether a command that runs made it or uses it.
  public var isInUse: Bool
}

/// All of `system df`: the rows, and the objects behind them.
public struct DiskReport: Sendable {
  public var rows: [DiskUsage] = []
  public var images: [ImageUsage] = []
  public var containers: [ContainerSummary] = []
  public var volumes: [VolumeUsage] = []
  /// The one that was used last first.
  public var cache: [CacheUsage] = []
  public init() {}
}

/// What a prune removed.
public struct PruneOutcome: Sendable {
  public var containers: [String] = []
  public var images = RemovedImages()
  /// Records of the build cache, by their IDs.
  public var cacheRecords: [String] = []
  /// What was or would be removed, a line each.
  public var plan = ""
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
