public import Core

/// What `run` is asked for. Flags that were not given are nil or empty.
public struct RunRequest: Sendable {
  /// The image as the user wrote it.
  public var image: String
  /// Words after the image; they replace the image's CMD.
  public var command: [String]
  public var name: String?
  /// `--rm`.
  public var removeAfterwards: Bool
  /// `-i`: standard input is passed on.
  public var interactive: Bool
  /// `-t`: a terminal.
  public var terminal: Bool
  /// `NAME=value`, or `NAME` to take it from `clientEnvironment`.
  public var environment: [String]
  public var workingDirectory: String?
  public var user: String?
  /// `HOST:CTR[:ro]`.
  public var volumes: [String]
  /// nil when not given; one empty word resets the image's.
  public var entrypoint: String?
  /// `host`, `none`, or nil for the default (host until bridge networks exist).
  public var network: String?
  public var hostname: String?
  public var labels: [(name: String, value: String)]
  /// `--read-only`.
  public var readonlyRoot: Bool
  public var addHosts: [String]
  /// Told what could not be had, or why the command probably failed; nil for nobody.
  public var remark: (@Sendable (String) -> Void)?
  /// `--memory` and others.
  public var resources: ResourceLimits
  public var capabilitiesAdded: [String]
  public var capabilitiesDropped: [String]
  public var privileged: Bool
  /// `no-new-privileges`, `seccomp=unconfined`.
  public var securityOptions: [String]
  /// Where to write the container's id, or nil.
  public var idFile: String?
  /// The client's variables, `NAME=value`.
  public var clientEnvironment: [String]
  public var pull = PullPolicy.missing
  /// How registries are talked to.
  public var registries: RegistryOptions
  /// Told what a pull does; nil for nobody.
  public var transfer: (@Sendable (TransferEvent) -> Void)?

  public init(image: String, command: [String] = []) {
    self.image = image
    self.command = command
    removeAfterwards = false
    interactive = false
    terminal = false
    environment = []
    volumes = []
    labels = []
    readonlyRoot = false
    addHosts = []
    resources = ResourceLimits()
    capabilitiesAdded = []
    capabilitiesDropped = []
    privileged = false
    securityOptions = []
    registries = RegistryOptions(environment: []) { _ in }
    clientEnvironment = []
  }
}

/// One row of `ps`.
public struct ContainerSummary: Sendable {
  /// 64 hexadecimal digits.
  public var id: String
  public var name: String
  /// The image as the user wrote it.
  public var image: String
  public var imageID: Digest
  /// The words of the process.
  public var command: [String]
  public var created: Timestamp
  public var state: State
  public var labels: [String: String]
  /// Bytes in the container's own layer; nil when not asked for.
  public var size: Int64?

  /// Where in its life a container is.
  public enum State: Sendable, Equatable {
    case created
    case running(pid: Int32, since: Timestamp)
    case exited(code: Int32, at: Timestamp)
    /// The process that looked after it died before it could record the end.
    case dead(at: Timestamp?)

    /// Docker's word: `created`, `running`, `exited`, `dead`.
    public var word: String {
      switch self {
      case .created: "created"
      case .running: "running"
      case .exited: "exited"
      case .dead: "dead"
      }
    }
  }
}
