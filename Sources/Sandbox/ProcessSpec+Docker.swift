public import Core

extension ProcessSpec {
  /// Which network a process sees.
  public enum Network: Sendable, Equatable {
    /// The host's.
    case host
    /// One of its own with only the loopback interface.
    case none
    /// The namespace at this path.
    case namespace(String)
  }

  /// The capabilities of Docker's default profile.
  public static let dockerCapabilities: [Capability] = [
    .chown, .dacOverride, .fowner, .fsetid, .kill, .setgid, .setuid, .setpcap, .netBindService, .netRaw, .sysChroot,
    .mknod, .auditWrite, .setfcap,
  ]

  /// What Docker hides from a container.
  public static let dockerMaskedPaths = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
  ]

  /// What Docker makes read-only for a container.
  public static let dockerReadonlyPaths = [
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
  ]

  /// `arguments` on `root` as Docker runs a container: its capabilities, seccomp profile, masked and read-only paths,
  /// mounts, and namespaces mount, pid, ipc, uts and cgroup (and network unless it is the host's).
  ///
  /// A user other than root gets no effective capabilities, only the bounding set. `shmSize` is in bytes.
  public static func dockerDefault(
    arguments: [String], environment: [String] = [], workingDirectory: String = "/", user: User = User(), root: Root,
    network: Network = .host, hostname: String? = nil, terminal: Bool = false, shmSize: Int64 = 64 << 20
  ) -> ProcessSpec {
    var spec = ProcessSpec(arguments: arguments, root: root)
    spec.environment = environment
    spec.workingDirectory = workingDirectory.isEmpty ? "/" : workingDirectory
    spec.user = user
    spec.terminal = terminal
    spec.hostname = hostname
    spec.namespaces = [.mount, .pid, .ipc, .uts, .cgroup].map { NamespaceSpec($0) }
    switch network {
    case .host: break
    case .none: spec.namespaces.append(NamespaceSpec(.network))
    case .namespace(let path): spec.namespaces.append(NamespaceSpec(.network, path: path))
    }
    let granted = user.uid == 0 ? dockerCapabilities : []
    spec.capabilities = CapabilitySets(bounding: dockerCapabilities, effective: granted, permitted: granted)
    spec.seccomp = .dockerDefault
    spec.maskedPaths = dockerMaskedPaths
    spec.readonlyPaths = dockerReadonlyPaths
    spec.mounts = [
      MountSpec("/proc", .proc, options: ["nosuid", "noexec", "nodev"]),
      MountSpec("/dev", .tmpfs, options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
      MountSpec(
        "/dev/pts", .devpts, options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
      MountSpec("/sys", .sysfs, options: ["nosuid", "noexec", "nodev", "ro"]),
      MountSpec("/sys/fs/cgroup", .cgroup, options: ["ro", "nosuid", "noexec", "nodev"]),
      MountSpec("/dev/mqueue", .mqueue, options: ["nosuid", "noexec", "nodev"]),
      MountSpec("/dev/shm", .tmpfs, options: ["nosuid", "noexec", "nodev", "mode=1777", "size=\(shmSize)"]),
    ]
    return spec
  }
}
