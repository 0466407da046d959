/// A process and the world it sees: what an OCI runtime reads from `config.json` (OCI runtime-spec 1.2, config.md).
///
/// It is a plain value: nothing in it is opened or checked before the sandbox plans it.
public struct ProcessSpec: Sendable, Equatable {
  /// The command; `arguments[0]` is looked up in the `PATH` of `environment` unless it has a slash.
  public var arguments: [String]
  /// `NAME=value`, in the order the process gets them.
  public var environment: [String]
  /// The absolute working directory inside the root; made (0755, root's) if it is missing.
  public var workingDirectory: String
  public var user: User
  /// Whether standard input, output and error are one pseudo-terminal of the container's own `/dev/pts`.
  public var terminal: Bool
  public var umask: UInt32
  public var capabilities: CapabilitySets
  public var noNewPrivileges: Bool
  public var rlimits: [ResourceLimit]
  /// -1000...1000, or nil to inherit.
  public var oomScoreAdjustment: Int?
  public var hostname: String?
  public var domainname: String?
  public var root: Root
  /// Whether the root file system is read-only to the process; mounts keep their own flags.
  public var readonlyRoot: Bool
  /// Mounted in this order, after the root.
  public var mounts: [MountSpec]
  public var namespaces: [NamespaceSpec]
  /// How ids inside a user namespace map to ids outside; used only with a new `user` namespace.
  public var uidMappings: [IDMapping]
  public var gidMappings: [IDMapping]
  /// Paths that the process finds empty; missing ones are skipped.
  public var maskedPaths: [String]
  /// Paths that the process can't write; missing ones are skipped.
  public var readonlyPaths: [String]
  public var seccomp: SeccompProfile
  public var resources: ResourceLimits
  /// The container's control group below each hierarchy, `stave/abc`; nil for none of its own.
  public var cgroupPath: String?
  /// Kernel parameters, `net.ipv4.ip_forward` and its value.
  public var sysctls: [String: String]
  /// Nodes in `/dev` besides the standard ones, and what else the process may do with devices.
  public var devices: [DeviceSpec]
  /// Whether every device is allowed (`--privileged`).
  public var allowsAllDevices: Bool
  /// Host files shown at these places, so that they never come into a layer.
  public var nameFiles: NameFiles
  /// Whether the process is killed when the one that launched it dies.
  public var diesWithLauncher: Bool

  /// The process `arguments` on `root` with nothing else set: no mounts, namespaces, capabilities or filter.
  public init(arguments: [String], root: Root) {
    self.arguments = arguments
    environment = []
    workingDirectory = "/"
    user = User()
    terminal = false
    umask = 0o022
    capabilities = CapabilitySets()
    noNewPrivileges = false
    rlimits = []
    self.root = root
    readonlyRoot = false
    mounts = []
    namespaces = []
    uidMappings = []
    gidMappings = []
    maskedPaths = []
    readonlyPaths = []
    seccomp = .unconfined
    resources = ResourceLimits()
    sysctls = [:]
    devices = []
    allowsAllDevices = false
    nameFiles = NameFiles()
    diesWithLauncher = true
  }

  /// The numeric ids that the process runs with.
  public struct User: Sendable, Equatable {
    public var uid: UInt32
    public var gid: UInt32
    public var additionalGIDs: [UInt32]

    public init(uid: UInt32 = 0, gid: UInt32 = 0, additionalGIDs: [UInt32] = []) {
      self.uid = uid
      self.gid = gid
      self.additionalGIDs = additionalGIDs
    }
  }

  /// What becomes `/`.
  public enum Root: Sendable, Equatable {
    /// A directory of the host, as it is.
    case directory(String)
    /// An overlay file system: `lowers` top first (at least one), a writable `upper`, and a fresh `work` directory on
    /// the same file system as `upper`.
    case overlay(lowers: [LowerLayer], upper: String, work: String)
  }

  /// One read-only layer of an overlay.
  public enum LowerLayer: Sendable, Hashable {
    /// An unpacked tree, in overlayfs' own form of whiteouts.
    case tree(String)
    /// An EROFS image of names and attributes, `index`, whose file data are ranges of `devices` (tars, in the order of
    /// its device table). The process's own mount namespace mounts it, from the files themselves or, with `loop`,
    /// through loop devices.
    case erofs(index: String, devices: [String], loop: Bool = false)

    /// The tree, or the index: equal ones are of one layer.
    public var path: String {
      switch self {
      case .tree(let path): path
      case .erofs(let index, _, _): index
      }
    }
  }

  /// Host files that are bound over `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname`; nil leaves the image's own.
  public struct NameFiles: Sendable, Equatable {
    public var hosts: String?
    public var resolvConf: String?
    public var hostname: String?
    /// Whether the process can't change them.
    public var isReadonly: Bool

    public init(hosts: String? = nil, resolvConf: String? = nil, hostname: String? = nil, isReadonly: Bool = true) {
      self.hosts = hosts
      self.resolvConf = resolvConf
      self.hostname = hostname
      self.isReadonly = isReadonly
    }
  }

  /// Which system-call filter the process gets.
  public enum SeccompProfile: String, Sendable, Equatable {
    case dockerDefault
    case unconfined
  }
}
