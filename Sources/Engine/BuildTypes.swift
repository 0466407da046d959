public import Core

/// What `build` is asked for.
public struct BuildRequest: Sendable {
  /// The directory of the build context, as the user wrote it.
  public var context: String
  public var dockerfile: DockerfileLocation
  /// Names for the result, as the user wrote them.
  public var tags: [String]
  /// A stage's name or index, or nil for the last.
  public var target: String?
  /// `NAME` and value in order; a nil value takes the variable of `environment`.
  public var buildArguments: [(name: String, value: String?)]
  /// `key=value` pairs in order.
  public var labels: [(name: String, value: String)]
  public var noCache: Bool
  /// `--pull`: whether base images come from their registries.
  public var pull = PullPolicy.missing
  /// `--push`: whether the result goes to the registries that its names name, and how.
  public var push: PushOptions?
  /// How registries are talked to.
  public var registries: RegistryOptions
  /// `linux/amd64`, `local`, or several of them with commas between; none for this machine's.
  public var platforms: [String] = []
  /// `--annotation`, in order.
  public var annotations: [BuildAnnotation] = []
  /// `default`, `host` or `none`.
  public var network: String
  /// `name:address` entries for /etc/hosts of RUN steps.
  public var addHosts: [String]
  /// Where to write the image's ID, or nil.
  public var idFile: String?
  /// Where to write what came of it as JSON, or nil.
  public var metadataFile: String?
  /// Steps that run at the same time; nil for the machine's processors.
  public var jobs: Int?
  /// `--source-date-epoch`: the time, in seconds since 1970, of the image and of its new history entries; nil takes the
  /// build argument or the variable SOURCE_DATE_EPOCH, else the time of each step.
  public var sourceDateEpoch: Int64?
  /// Whether no file of a new layer may be later than that time.
  public var rewritesTimestamps = false
  /// How large the build cache may be after the build: a tenth of the disk if nobody says otherwise.
  public var cacheSize = CacheSize.percent(10)
  /// `--cache-from`: where steps of other builds can be had, as the user wrote them, `type=registry,ref=NAME`.
  public var cacheFrom: [String] = []
  /// `--cache-to`: where the build's steps go for others, as the user wrote them, `type=local,dest=DIR,mode=max`.
  public var cacheTo: [String] = []
  /// The client's variables, `NAME=value`: proxies and `--build-arg NAME` are taken from here.
  public var environment: [String]

  public init(context: String) {
    self.context = context
    dockerfile = .automatic
    tags = []
    buildArguments = []
    labels = []
    noCache = false
    network = "default"
    addHosts = []
    environment = []
    registries = RegistryOptions(environment: []) { _ in }
  }

  /// A limit of the build cache.
  public enum CacheSize: Sendable, Equatable {
    case bytes(Int64)
    /// Of the disk that holds the store.
    case percent(Int)
    case unlimited
  }

  /// Where the Dockerfile is.
  public enum DockerfileLocation: Sendable, Equatable {
    /// `Dockerfile`, else `dockerfile`, in the context.
    case automatic
    /// The path given by `-f`: relative to the current directory, or to the context if it is not there.
    case path(String)
    /// The bytes read from standard input.
    case bytes([UInt8])
  }
}

/// What a build made.
public struct BuildOutcome: Sendable {
  /// The digest of the image's config; of several images that of the one for this machine, or the first.
  public var imageID: Digest
  /// The manifest, or the index of several images.
  public var descriptor: Descriptor
  /// What stands for the result: the image's ID, or of several images the index's digest.
  public var shownID: Digest
  /// The names given, familiar form.
  public var tags: [String]
  /// Steps executed and steps taken from the cache.
  public var executedSteps: Int
  public var cachedSteps: Int
}

/// A RUN step that ended with an error; what the failing-step report is made of.
public struct StepFailure: Error, Sendable {
  /// `process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`.
  public var message: String
  /// `[2/3] RUN exit 3`.
  public var title: String
  /// The place in the Dockerfile, with its source.
  public var diagnostic: Diagnostic?
  /// The last lines of the step's output.
  public var logTail: [String]
  /// What to do about it; nil where only the command knows.
  public var hint: String?
  /// The file that holds the whole output, or nil when there was none.
  public var logPath: String?
  public var exitCode: Int32
}
