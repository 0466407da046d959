internal import Core

/// Makes the steps of a plan, in the order they must have.
struct SpawnPlanner {
  let spec: ProcessSpec
  let surroundings: SpawnPlan.Surroundings
  var cloned: [NamespaceSpec.Kind] = []
  var steps: [SpawnStep] = []
  var targets: [SpawnPlan.MountTarget] = []

  init(spec: ProcessSpec, surroundings: SpawnPlan.Surroundings) {
    self.spec = spec
    self.surroundings = surroundings
  }

  private func has(_ kind: NamespaceSpec.Kind) -> Bool {
    spec.namespaces.contains { $0.kind == kind && $0.path == nil }
  }
  private var hasUserNamespace: Bool { has(.user) }
  /// Whether the mounts are made by root of a user namespace, the process's own or the launcher's.
  private var isInUserNamespace: Bool { hasUserNamespace || !surroundings.isMachineRoot }

  mutating func plan() throws {
    try check()
    enterNamespaces()
    try mountRoot()
    for mount in spec.mounts { try add(mount) }
    addNameFiles()
    if spec.terminal {
      let size = surroundings.terminalSize
      steps.append(.terminal(rows: size.rows, columns: size.columns, owner: spec.user.uid))
    }
    nameHost()
    steps += spec.readonlyPaths.map { .readonly($0) }
    steps += spec.maskedPaths.map { .mask($0) }
    if spec.readonlyRoot { steps += [.workingDirectory(spec.workingDirectory), .readonlyRoot] }
    steps.append(.pivot)
    confine()
  }

  private func check() throws {
    guard !spec.arguments.isEmpty else { throw Failure("start the process", "no command specified") }
    guard has(.mount) else { throw Failure.notSupportedYet("a process without a mount namespace of its own") }
    for namespace in spec.namespaces where namespace.path != nil {
      if [.pid, .user, .mount, .time].contains(namespace.kind) {
        throw Failure.notSupportedYet("joining a \(namespace.kind) namespace")
      }
    }
    if hasUserNamespace, spec.uidMappings.isEmpty || spec.gidMappings.isEmpty {
      throw Failure("start the process", "a user namespace needs uid and gid mappings")
    }
    for path in [spec.workingDirectory] + spec.mounts.map(\.destination) + spec.devices.map(\.path)
    where !path.hasPrefix("/") {
      throw Failure("start the process", "path \(path) inside the container is not absolute")
    }
    for mount in spec.mounts where TreePath(clamping: mount.destination).isRoot {
      throw Failure("mount \(mount.kind) at \(mount.destination)", "the target is the root itself")
    }
  }

  private mutating func enterNamespaces() {
    // A control group namespace shows the group the process is in when it is made: after joining.
    let kinds = NamespaceSpec.Kind.allCases.filter { has($0) }
    cloned = kinds.filter { $0 != .cgroup }
    if spec.diesWithLauncher { steps.append(.dieWithLauncher) }
    if let file = surroundings.guardFile { steps.append(.joinGuard(file)) }
    steps += surroundings.limitFiles.map { .writeFile(path: $0, text: "0") }
    if let score = spec.oomScoreAdjustment {
      steps.append(.writeFile(path: "/proc/self/oom_score_adj", text: String(score)))
    }
    if hasUserNamespace { steps.append(.waitForIDMaps) }
    for namespace in spec.namespaces {
      if let path = namespace.path { steps.append(.join(namespace.kind, path: path)) }
    }
    if kinds.contains(.cgroup) { steps.append(.unshare(.cgroup)) }
    steps += [.sessionKeyring, .privateMounts]
    if kinds.contains(.network) { steps.append(.loopback) }
  }

  private mutating func mountRoot() throws {
    switch spec.root {
    case .directory(let path): steps.append(.directoryRoot(path, attributes: noDevices))
    case .overlay(let lowers, let upper, let work):
      try addLowers(lowers)
      // Each of the first five would else have the kernel configuration's default: self-contained uppers need them
      // off. `volatile` saves syncing the upper's whole file system at the end.
      var options = ["redirect_dir=nofollow", "metacopy=off", "index=off", "xino=off", "nfs_export=off", "uuid=null"]
      options += isInUserNamespace ? ["userxattr", "volatile"] : ["volatile"]
      steps.append(
        .overlayRoot(
          .init(
            upper: upper, work: work, options: options, attributes: noDevices, form: surroundings.overlayForm)))
    }
  }

  /// One step a layer. A layer that is there twice counts once, at its upper place: all that the other one says is
  /// said above it again, and an overlay refuses the same directory twice.
  private mutating func addLowers(_ lowers: [ProcessSpec.LowerLayer]) throws {
    guard !lowers.isEmpty else { throw Failure("mount the overlay root", "there is no lower layer") }
    var seen: Set<String> = []
    let distinct = lowers.filter { seen.insert($0.path).inserted }
    guard distinct.count <= Kernel.maximalLowers else {
      throw Failure(
        "mount the overlay root", "\(distinct.count) layers, but the kernel stacks at most \(Kernel.maximalLowers)")
    }
    steps += distinct.map { .lower(.init(layer: $0, handedIn: isHandedIn($0))) }
  }

  /// What only the launcher can mount: a block device, which the container's device guard keeps from the child; EROFS
  /// for a user namespace; and a directory given by descriptor, whose mount is not one of the child's namespace.
  private func isHandedIn(_ layer: ProcessSpec.LowerLayer) -> Bool {
    switch layer {
    case .tree(let path): path.hasPrefix("/proc/self/fd/")
    case .erofs(_, _, let loop): loop || hasUserNamespace
    }
  }

  /// The mount point of `mount`, unless it lies in a file system that is mounted before it.
  private mutating func addTarget(_ path: String, source: String?) {
    let place = TreePath(clamping: path)
    let fresh = spec.mounts.contains { other in
      other.kind != .bind && place != TreePath(clamping: other.destination)
        && place.isWithin(TreePath(clamping: other.destination))
    }
    if !fresh { targets.append(.init(path: place.absolute, source: source)) }
  }

  private mutating func add(_ mount: MountSpec) throws {
    let options = MountOptions(mount)
    switch mount.kind {
    case .bind:
      guard options.data.isEmpty else {
        throw Failure("bind \(mount.source) at \(mount.destination)", "unknown option \(options.data[0])")
      }
      addTarget(mount.destination, source: mount.source)
      steps.append(
        .bind(
          .init(
            source: mount.source, target: mount.destination, set: options.set | noDevices, clear: options.clear,
            recursive: options.recursive, propagation: options.propagation ?? .private)))
    case .cgroup:
      // Where hierarchies are apart there is no one mount to show.
      guard surroundings.hasUnifiedCgroups else { return }
      steps.append(
        .mount(
          .init(
            type: "cgroup2", target: mount.destination, attributes: options.set, options: options.data,
            tolerated: true)))
    case .tmpfs, .proc, .sysfs, .devpts, .mqueue:
      addTarget(mount.destination, source: nil)
      var data = options.data
      // The terminal group must exist inside.
      let mapsTerminalGroup =
        hasUserNamespace ? spec.gidMappings.contains { $0.covers(5) } : surroundings.mapsTerminalGroup
      if mount.kind == .devpts, !mapsTerminalGroup {
        data.removeAll { $0 == "gid=5" }
      }
      let isDev = mount.kind == .tmpfs && TreePath(clamping: mount.destination).text == "dev"
      let guarded: UInt64 = mount.kind == .tmpfs ? noDevices : 0
      steps.append(
        .mount(
          .init(
            type: mount.kind.rawValue, target: mount.destination, attributes: options.set | guarded,
            options: data, noLinks: mount.kind == .proc || mount.kind == .sysfs,
            fallsBackToHost: mount.kind == .sysfs && isInUserNamespace)))
      if isDev { addDevices() }
    }
  }

  private var noDevices: UInt64 {
    surroundings.guardsDevices || spec.allowsAllDevices ? 0 : Kernel.Attribute.noDevices
  }

  private mutating func addDevices() {
    let bindOnly = isInUserNamespace || !surroundings.guardsDevices
    let standard: [(String, UInt64, UInt64)] = [
      ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
    ]
    for (name, major, minor) in standard {
      steps.append(
        .node(
          path: "/dev/\(name)", mode: Kernel.characterDevice | 0o666, device: Kernel.deviceNumber(major, minor),
          hostPath: "/dev/\(name)", bindOnly: bindOnly))
    }
    for device in spec.devices {
      steps.append(.node(path: device.path, mode: 0, device: 0, hostPath: device.hostPath, bindOnly: true))
    }
    let links = [
      ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
      ("stderr", "/proc/self/fd/2"), ("core", "/proc/kcore"),
    ]
    for (name, target) in links { steps.append(.symlink(path: "/dev/\(name)", target: target)) }
  }

  private mutating func addNameFiles() {
    let files = [
      ("/etc/hosts", spec.nameFiles.hosts), ("/etc/resolv.conf", spec.nameFiles.resolvConf),
      ("/etc/hostname", spec.nameFiles.hostname),
    ]
    let set = Kernel.Attribute.noDevices | (spec.nameFiles.isReadonly ? Kernel.Attribute.readonly : 0)
    for case (let path, let source?) in files {
      addTarget(path, source: source)
      steps.append(.bind(.init(source: source, target: path, set: set, propagation: .private)))
    }
  }

  private mutating func nameHost() {
    if let name = spec.hostname { steps.append(.hostname(name)) }
    if let name = spec.domainname { steps.append(.domainname(name)) }
    steps += spec.sysctls.sorted { $0.key < $1.key }.map { .sysctl(name: $0.key, value: $0.value) }
  }

  /// What the process may do. A filter may be loaded only by who has CAP_SYS_ADMIN or gains no privileges any more:
  /// before the capabilities go, or at the very end.
  private mutating func confine() {
    steps += [.umask(spec.umask), .workingDirectory(spec.workingDirectory)]
    steps.append(.boundingSet(spec.capabilities.bounding))
    let filter = surroundings.seccompProgram.map { SpawnStep.seccomp(name: spec.seccomp.rawValue, program: $0) }
    if let filter, !spec.noNewPrivileges { steps.append(filter) }
    if let program = surroundings.idWatch { steps.append(.watchIDs(program)) }
    // There may be more files open than the limit already: of what follows only the last step opens any, and closes
    // those first.
    steps += spec.rlimits.map { .limit($0) }
    steps += [.user(spec.user, keepsGroups: !surroundings.canSetGroups), .capabilities(spec.capabilities)]
    if spec.noNewPrivileges { steps.append(.noNewPrivileges) }
    if let filter, spec.noNewPrivileges { steps.append(filter) }
    // A change of credentials forgets it.
    if spec.diesWithLauncher { steps.append(.dieWithLauncher) }
    steps.append(.execute(arguments: spec.arguments, environment: spec.environment))
  }
}
