/// An image's configuration document (OCI image-spec 1.1, config.md, with Docker's additions).
public struct ImageConfig: Hashable, Sendable {
  public var created: Timestamp?
  public var author: String
  public var platform: Platform
  public var osVersion: String
  public var osFeatures: [String]
  public var config: ContainerConfig
  /// Uncompressed layers, lowest first.
  public var diffIDs: [Digest]
  public var history: [History]

  public init(
    platform: Platform, created: Timestamp? = nil, author: String = "", config: ContainerConfig = ContainerConfig(),
    diffIDs: [Digest] = [], history: [History] = []
  ) {
    self.platform = platform
    self.created = created
    self.author = author
    osVersion = ""
    osFeatures = []
    self.config = config
    self.diffIDs = diffIDs
    self.history = history
  }

  /// What is known of one instruction: a layer, or with `isEmptyLayer` none.
  public struct History: Hashable, Sendable {
    public var created: Timestamp?
    public var createdBy: String
    public var author: String
    public var comment: String
    public var isEmptyLayer: Bool
    public init(
      created: Timestamp? = nil, createdBy: String = "", author: String = "", comment: String = "",
      isEmptyLayer: Bool = false
    ) {
      self.created = created
      self.createdBy = createdBy
      self.author = author
      self.comment = comment
      self.isEmptyLayer = isEmptyLayer
    }
  }
}

/// What a container made from an image starts with: the `config` member of the image's document.
public struct ContainerConfig: Hashable, Sendable {
  public var user: String = ""
  /// `80/tcp`, in any order; written sorted.
  public var exposedPorts: Set<String> = []
  /// `NAME=value` in order.
  public var env: [String] = []
  /// nil when there is none, which differs from an empty one.
  public var entrypoint: [String]?
  public var cmd: [String]?
  /// Whether `cmd` is a shell form (Docker's mark, kept for compatibility).
  public var argsEscaped: Bool = false
  public var volumes: Set<String> = []
  public var workingDir: String = ""
  public var labels: [String: String] = [:]
  public var stopSignal: String = ""
  /// Seconds.
  public var stopTimeout: Int64?
  public var onBuild: [String] = []
  public var healthcheck: Healthcheck?
  public var shell: [String]?

  public init() {}

  /// How a container's health is tested. Durations in nanoseconds, 0 means default.
  public struct Healthcheck: Hashable, Sendable {
    public var test: [String]
    public var interval: Int64
    public var timeout: Int64
    public var startPeriod: Int64
    public var startInterval: Int64
    public var retries: Int64
    public init(
      test: [String], interval: Int64 = 0, timeout: Int64 = 0, startPeriod: Int64 = 0, startInterval: Int64 = 0,
      retries: Int64 = 0
    ) {
      self.test = test
      self.interval = interval
      self.timeout = timeout
      self.startPeriod = startPeriod
      self.startInterval = startInterval
      self.retries = retries
    }
  }

  /// The value of the variable `name` in `env`, or nil.
  public func environment(_ name: String) -> String? {
    env.last { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
  }

  /// Replaces the variable `name`, or appends it.
  public mutating func setEnvironment(_ name: String, _ value: String) {
    let entry = "\(name)=\(value)"
    if let at = env.firstIndex(where: { $0 == name || $0.hasPrefix(name + "=") }) {
      env[at] = entry
    } else {
      env.append(entry)
    }
  }
}
