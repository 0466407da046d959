/// One mount inside the root.
public struct MountSpec: Sendable, Equatable {
  /// What is mounted.
  public enum Kind: String, Sendable, Equatable {
    case bind, tmpfs, proc, sysfs, devpts, mqueue, cgroup
  }

  /// The absolute place inside the root. Symbolic links on the way are followed inside the root only.
  public var destination: String
  public var kind: Kind
  /// The host path of a bind mount; empty otherwise.
  public var source: String
  /// As `mount -o` takes them: `ro`, `nosuid`, `noexec`, `nodev`, `rbind`, `rprivate`, ..., and the file system's own
  /// (`size=64m`, `mode=1777`).
  public var options: [String]

  public init(_ destination: String, _ kind: Kind, source: String = "", options: [String] = []) {
    self.destination = destination
    self.kind = kind
    self.source = source
    self.options = options
  }

  /// `source` shown at `destination`, with all mounts below it.
  public static func bind(_ source: String, at destination: String, readonly: Bool = false) -> MountSpec {
    MountSpec(destination, .bind, source: source, options: readonly ? ["rbind", "ro"] : ["rbind"])
  }
}

/// One namespace of a process: a new one, or the one at `path`.
public struct NamespaceSpec: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable { case user, mount, pid, ipc, uts, cgroup, network, time }

  public var kind: Kind
  /// `/proc/PID/ns/net` or a bound file; nil for a new namespace.
  public var path: String?

  public init(_ kind: Kind, path: String? = nil) {
    self.kind = kind
    self.path = path
  }
}

/// A range of ids in a user namespace and where it lies outside (user_namespaces(7)).
public struct IDMapping: Sendable, Equatable {
  public var inside: UInt32
  public var outside: UInt32
  public var count: UInt32

  public init(inside: UInt32, outside: UInt32, count: UInt32) {
    self.inside = inside
    self.outside = outside
    self.count = count
  }

  /// Whether `id` is one of the inside.
  public func covers(_ id: UInt32) -> Bool { id >= inside && id - inside < count }
}

/// The five capability sets (capabilities(7)).
public struct CapabilitySets: Sendable, Equatable {
  public var bounding: [Capability]
  public var effective: [Capability]
  public var permitted: [Capability]
  public var inheritable: [Capability]
  public var ambient: [Capability]

  public init(
    bounding: [Capability] = [], effective: [Capability] = [], permitted: [Capability] = [],
    inheritable: [Capability] = [], ambient: [Capability] = []
  ) {
    self.bounding = bounding
    self.effective = effective
    self.permitted = permitted
    self.inheritable = inheritable
    self.ambient = ambient
  }
}

/// A Linux capability; the raw value is its bit (linux/capability.h).
public enum Capability: UInt8, Sendable, CaseIterable, Comparable {
  case chown, dacOverride, dacReadSearch, fowner, fsetid, kill, setgid, setuid, setpcap, linuxImmutable
  case netBindService, netBroadcast, netAdmin, netRaw, ipcLock, ipcOwner, sysModule, sysRawio, sysChroot, sysPtrace
  case sysPacct, sysAdmin, sysBoot, sysNice, sysResource, sysTime, sysTtyConfig, mknod, lease, auditWrite
  case auditControl, setfcap, macOverride, macAdmin, syslog, wakeAlarm, blockSuspend, auditRead, perfmon, bpf
  case checkpointRestore

  /// `CAP_NET_ADMIN`.
  public var name: String {
    var name = "CAP_"
    for character in "\(self)" {
      if character.isUppercase { name += "_" }
      name += character.uppercased()
    }
    return name
  }

  /// The capability called `name`, in any case, with or without `CAP_`; nil if there is none.
  public init?(name: String) {
    let wanted = name.uppercased()
    let full = wanted.hasPrefix("CAP_") ? wanted : "CAP_" + wanted
    guard let found = Capability.allCases.first(where: { $0.name == full }) else { return nil }
    self = found
  }

  public static func < (a: Capability, b: Capability) -> Bool { a.rawValue < b.rawValue }
}

/// One limit of setrlimit(2).
public struct ResourceLimit: Sendable, Equatable {
  /// The raw value is the resource's number.
  public enum Kind: UInt32, Sendable, CaseIterable {
    case cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, `as`, locks, sigpending, msgqueue, nice, rtprio
    case rttime
  }

  public static let unlimited = UInt64.max

  public var kind: Kind
  public var soft: UInt64
  public var hard: UInt64

  public init(_ kind: Kind, soft: UInt64, hard: UInt64) {
    self.kind = kind
    self.soft = soft
    self.hard = hard
  }
}

/// What a control group grants; nil is no limit.
public struct ResourceLimits: Sendable, Equatable {
  /// Bytes of memory.
  public var memory: Int64?
  /// Bytes of memory and swap together; -1 for unlimited swap (Docker's `--memory-swap`).
  public var memorySwap: Int64?
  /// Bytes kept when memory is short.
  public var memoryReservation: Int64?
  /// Microseconds of processor time in each `cpuPeriod`; 200,000 of 100,000 is two processors.
  public var cpuQuota: Int64?
  /// Microseconds, 100,000 if nil.
  public var cpuPeriod: Int64?
  /// Relative weight, 2...262144, 1024 for an ordinary group.
  public var cpuShares: Int64?
  /// Processes and threads.
  public var pids: Int64?
  /// Processors, `0-3,5`.
  public var cpusetCPUs: String?
  /// Memory nodes.
  public var cpusetMems: String?

  public init() {}

  /// Whether nothing is limited.
  public var isEmpty: Bool { self == ResourceLimits() }
}

/// A device node for the process.
public struct DeviceSpec: Sendable, Equatable {
  /// The node's absolute place inside the root.
  public var path: String
  /// The node of the host that it is.
  public var hostPath: String
  /// `r`, `w` and `m` (make), as the devices control group takes them.
  public var permissions: String

  public init(path: String, hostPath: String, permissions: String = "rwm") {
    self.path = path
    self.hostPath = hostPath
    self.permissions = permissions
  }
}
