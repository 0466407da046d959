public import Core

/// What a lowering depends on besides the Dockerfile.
public struct LoweringOptions: Sendable {
  /// `--target`: a stage's name in any case or its number; nil for the last stage.
  public var target: String?
  /// `--build-arg` in order. A nil value stands for a name whose value the client's environment does not have.
  public var buildArgs: [BuildArg]
  /// `--label` in order.
  public var labels: [BuildArg]
  /// The platform of the image.
  public var platform: Platform
  /// The platform that builds.
  public var buildPlatform: Platform
  /// Whether the steps' names tell their platform: the build is for several.
  public var showsPlatform = false
  /// The network of RUN instructions without `--network`.
  public var network: Op.Network
  /// `--add-host`, `name:address`.
  public var addHosts: [String]
  /// Whether no file of a new layer may be later than SOURCE_DATE_EPOCH, if that is given.
  public var rewritesTimestamps = false
  /// Whether every step is executed even if its result is known.
  public var noCache: Bool
  /// The images known so far.
  public var images: [ImageKey: ResolvedImage]
  public var mode: Mode

  public init(
    target: String? = nil, buildArgs: [BuildArg] = [], labels: [BuildArg] = [], platform: Platform = .current,
    buildPlatform: Platform = .current, network: Op.Network = .default, addHosts: [String] = [],
    noCache: Bool = false, images: [ImageKey: ResolvedImage] = [:], mode: Mode = .build
  ) {
    self.target = target
    self.buildArgs = buildArgs
    self.labels = labels
    self.platform = platform
    self.buildPlatform = buildPlatform
    self.network = network
    self.addHosts = addHosts
    self.noCache = noCache
    self.images = images
    self.mode = mode
  }

  public enum Mode: Sendable {
    case build
    /// The plan is to be looked at, not to be executed: base images are not resolved (they count as empty), flags that
    /// are not supported yet do not fail, and words that can't be expanded without build arguments stay as written.
    case planOnly
  }

  /// A name and its value, `--build-arg NAME=value`.
  public struct BuildArg: Sendable, Equatable {
    public var name: String
    public var value: String?
    public init(_ name: String, _ value: String?) {
      self.name = name
      self.value = value
    }
  }
}

/// An image as a Dockerfile names it, for one platform.
public struct ImageKey: Sendable, Hashable {
  /// As written, after expansion: `debian:12`.
  public var reference: String
  public var platform: Platform
  public init(reference: String, platform: Platform) {
    self.reference = reference
    self.platform = platform
  }
}

/// What an image name stands for.
public struct ResolvedImage: Sendable, Equatable {
  /// The digest of the config document.
  public var imageID: Digest
  public var config: ImageConfig
  public init(imageID: Digest, config: ImageConfig) {
    self.imageID = imageID
    self.config = config
  }
}

/// An image that lowering needs before it can go on.
public struct ImageRequest: Sendable, Equatable {
  public var key: ImageKey
  /// The place that names it, for the error if it can't be had: severity error, message `reference`.
  public var diagnostic: Diagnostic
  /// The names of the file's stages: what a misspelt name may have meant.
  public var stageNames: [String]
}

/// How far a lowering came.
public enum LoweringOutcome: Sendable {
  case plan(BuildPlan)
  /// Call again with these images added to `LoweringOptions.images`; each once, in the file's order.
  case needsImages([ImageRequest])
}
