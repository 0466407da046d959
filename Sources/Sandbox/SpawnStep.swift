internal import Core

/// One thing that the child does between clone3(2) and execve(2).
enum SpawnStep: Sendable, Equatable {
  case dieWithLauncher
  case waitForIDMaps
  /// Writes `text` to the host's file `path`. A failure is a warning.
  case writeFile(path: String, text: String)
  /// Joins the device control group whose `cgroup.procs` this is; not to be had without.
  case joinGuard(String)
  case unshare(NamespaceSpec.Kind)
  case join(NamespaceSpec.Kind, path: String)
  case privateMounts
  case directoryRoot(String, attributes: UInt64)
  /// The next lower of the overlay root, top first.
  case lower(LowerStep)
  case overlayRoot(OverlayStep)
  case mount(MountStep)
  case bind(BindStep)
  case node(path: String, mode: UInt64, device: UInt64, hostPath: String, bindOnly: Bool)
  case symlink(path: String, target: String)
  case terminal(rows: UInt16, columns: UInt16, owner: UInt32)
  case mask(String)
  case readonly(String)
  case sysctl(name: String, value: String)
  case loopback
  case hostname(String)
  case domainname(String)
  case readonlyRoot
  case pivot
  case sessionKeyring
  case limit(ResourceLimit)
  case workingDirectory(String)
  case umask(UInt32)
  case boundingSet([Capability])
  case seccomp(name: String, program: [UInt8])
  /// Lets the launcher know of calls that the filter names.
  case watchIDs([UInt8])
  case user(ProcessSpec.User, keepsGroups: Bool)
  case capabilities(CapabilitySets)
  case noNewPrivileges
  case execute(arguments: [String], environment: [String])

  /// The layer that this step makes the next lower; nil for another step.
  var lower: LowerStep? {
    if case .lower(let step) = self { step } else { nil }
  }

  /// One layer of the overlay root.
  struct LowerStep: Sendable, Equatable {
    var layer: ProcessSpec.LowerLayer
    /// Whether the launcher mounts it, since the child can't.
    var handedIn = false
    /// What the launcher mounted, a descriptor in the child too.
    var mount: Int32?
  }

  /// The overlay of all lowers before it.
  struct OverlayStep: Sendable, Equatable {
    var upper: String
    var work: String
    var options: [String]
    var attributes: UInt64 = 0
    var form = OverlayForm.any
  }

  /// A file system of its own at `target`.
  struct MountStep: Sendable, Equatable {
    var type: String
    var target: String
    var attributes: UInt64 = 0
    var options: [String] = []
    /// Whether a link on the way to the target is an error: what is masked below must be the real one.
    var noLinks = false
    var tolerated = false
    /// Whether the host's /sys is bound where a new one is refused.
    var fallsBackToHost = false
  }

  /// A tree or file of the host at `target`.
  struct BindStep: Sendable, Equatable {
    var source: String
    var target: String
    var set: UInt64 = 0
    var clear: UInt64 = 0
    var recursive = false
    var propagation: Kernel.Propagation?
  }
}
