internal import CSandbox
public import Core
internal import Linux

/// Starts processes on this machine, confined as their spec says.
public final class SandboxLauncher: ProcessLauncher {
  private let stateDirectory: String
  private let givenHierarchies: CgroupHierarchies?
  private let overlayForm: OverlayForm

  /// A launcher that keeps compiled filters and mount skeletons in `stateDirectory`, which is made if missing.
  /// Nothing is looked at before the first launch.
  public convenience init(stateDirectory: String) { self.init(stateDirectory: stateDirectory, hierarchies: nil) }

  init(stateDirectory: String, hierarchies: CgroupHierarchies?, overlayForm: OverlayForm = .any) {
    self.stateDirectory = stateDirectory
    givenHierarchies = hierarchies
    self.overlayForm = overlayForm
  }

  private var hierarchies: CgroupHierarchies { givenHierarchies ?? CgroupHierarchies.current }

  public func launch(_ spec: ProcessSpec, stdio: Stdio) throws -> RunningProcess {
    do {
      return try start(withInheritedLimit(spec), stdio)
    } catch let error as SystemError {
      var failure = error.failure
      failure.exitCode = 125
      throw failure
    } catch var failure as Failure where failure.exitCode == 1 {
      failure.exitCode = 125
      throw failure
    }
  }

  /// `spec` with the limit of open files that this process was started with: what it raised is for itself.
  private func withInheritedLimit(_ spec: ProcessSpec) -> ProcessSpec {
    guard let files = FileLimit.inherited, files.soft < files.hard,
      !spec.rlimits.contains(where: { $0.kind == .nofile })
    else { return spec }
    var spec = spec
    spec.rlimits.append(ResourceLimit(.nofile, soft: files.soft, hard: files.hard))
    return spec
  }

  private func start(_ spec: ProcessSpec, _ stdio: Stdio) throws -> RunningProcess {
    try checkPrivileges(spec)
    var surroundings = SpawnPlan.Surroundings()
    var files: [OpenFile?] = [nil, nil, nil]
    switch stdio {
    case .files(let input, let output, let error):
      guard !spec.terminal else { throw Failure("start the process", "it needs a terminal") }
      files = [input, output, error]
    case .terminal(let size):
      guard spec.terminal else { throw Failure("start the process", "it was not to have a terminal") }
      if let size { surroundings.terminalSize = (size.rows, size.columns) }
    }
    surroundings.seccompProgram = try SeccompProgram.bytes(
      profile: spec.seccomp, capabilities: spec.capabilities.bounding, cacheDirectory: stateDirectory + "/seccomp")
    if UserNamespace.hasSingleID { surroundings.idWatch = IDWatch.program() }
    surroundings.hasUnifiedCgroups = hierarchies.isUnifiedOnly
    surroundings.overlayForm = overlayForm
    let cgroup = try makeCgroup(spec)
    do {
      surroundings.limitFiles = cgroup?.limitFiles ?? []
      surroundings.guardFile = cgroup?.guardFile
      surroundings.canSetGroups = !UserNamespace.hasSingleID
      surroundings.isMachineRoot = UserNamespace.isInitial
      surroundings.mapsTerminalGroup = UserNamespace.maps(gid: 5)
      surroundings.guardsDevices = cgroup?.guardsDevices ?? false
      var plan = try SpawnPlan(spec, in: surroundings)
      if case .overlay = spec.root,
        let skeleton = try Skeleton.path(for: plan.mountTargets, in: stateDirectory + "/skeletons")
      {
        plan.addSkeleton(skeleton)
      }
      // The overlay holds them when the process runs.
      var mounts: [OpenFile] = []
      defer { withExtendedLifetime(mounts) {} }
      try plan.handIn { lower in
        mounts.append(try lower.mounted())
        return mounts[mounts.count - 1].descriptor
      }
      return try spawn(plan, spec, files, cgroup)
    } catch {
      cgroup?.destroy()
      throw error
    }
  }

  /// Throws what an ordinary user lacks here for `spec`.
  private func checkPrivileges(_ spec: ProcessSpec) throws {
    guard let entered = UserNamespace.entered else { return }
    if entered.form == .none {
      throw Failure(
        "make the container's namespaces", entered.reason ?? "not permitted", hint: entered.hint, exitCode: 125)
    }
    let groups = [spec.user.gid] + (UserNamespace.hasSingleID ? [] : spec.user.additionalGIDs)
    if UserNamespace.maps(uid: spec.user.uid), groups.allSatisfy({ UserNamespace.maps(gid: $0) }) { return }
    let user = "\(spec.user.uid):\(spec.user.gid)"
    throw Failure(
      "become user \(user)",
      UserNamespace.hasSingleID ? "needs a second id" : "there are fewer ids in /etc/subuid and /etc/subgid",
      hint: UserNamespace.facts.mappingHint, exitCode: 125)
  }

  /// The control group of the container; nil where it needs none.
  private func makeCgroup(_ spec: ProcessSpec) throws -> Cgroup? {
    if spec.allowsAllDevices, spec.resources.isEmpty, spec.cgroupPath == nil { return nil }
    var rules: [DeviceRule]?
    if !spec.allowsAllDevices {
      rules = DeviceRule.standard
      for device in spec.devices {
        guard let status = try HostPath.status(device.hostPath),
          [.characterDevice, .blockDevice].contains(status.kind)
        else { throw Failure("add device \(device.hostPath)", "there is no such device") }
        rules?.append(
          DeviceRule(
            type: status.kind == .blockDevice ? "b" : "c", major: status.deviceMajor, minor: status.deviceMinor,
            access: device.permissions))
      }
    }
    let name =
      spec.cgroupPath.map { TreePath(clamping: $0).text }
      ?? "stave/" + Machine.random(6).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    return Cgroup.create(name, resources: spec.resources, rules: rules, in: hierarchies)
  }

  /// The next descriptor that the child sent.
  private func receive(_ name: String, _ socket: OpenFile?) throws -> OpenFile {
    let descriptor = socket.map { stave_receive_descriptor($0.descriptor) } ?? -1
    guard descriptor >= 0 else { throw Failure("open the container's \(name)", "it did not arrive") }
    return OpenFile(owning: descriptor, path: name)
  }

  private func spawn(_ plan: SpawnPlan, _ spec: ProcessSpec, _ files: [OpenFile?], _ cgroup: Cgroup?) throws
    -> RunningProcess
  {
    let program = try plan.encoded()
    var launched = stave_launched()
    let error = program.withUnsafeBufferPointer { bytes in
      var launch = stave_launch()
      launch.program = bytes.baseAddress
      launch.size = bytes.count
      launch.clone_flags = plan.cloneFlags
      launch.cgroup = cgroup?.unified?.file.descriptor ?? -1
      launch.stdio = (files[0]?.descriptor ?? -1, files[1]?.descriptor ?? -1, files[2]?.descriptor ?? -1)
      launch.waits = plan.waitsForIDMaps ? 1 : 0
      launch.sends = spec.terminal || plan.watchesIDs ? 1 : 0
      return stave_spawn(&launch, &launched)
    }
    guard error == 0 else {
      throw Failure("make the container's namespaces", SystemError.Code(rawValue: error).text, exitCode: 125)
    }
    defer { stave_discard_reports(&launched) }
    let handle = ProcessHandle(
      pid: launched.pid, pidfd: OpenFile(owning: launched.pidfd, path: "process \(launched.pid)"))
    let status = OpenFile(owning: launched.status, path: "status pipe")
    let socket = launched.received < 0 ? nil : OpenFile(owning: launched.received, path: "socket of a container")
    do {
      if launched.release >= 0 {
        let release = OpenFile(owning: launched.release, path: "release pipe")
        try IDMaps.write(spec, of: launched.pid)
        try release.write([1])
      }
      let outcome =
        launched.walked != 0
        ? SpawnOutcome(reports: Array(UnsafeBufferPointer(start: launched.reports, count: launched.report_length)))
        : try SpawnOutcome(reading: status)
      if let failed = outcome.failed { throw failed.failure(plan) }
      let terminal = spec.terminal ? try receive("terminal", socket) : nil
      let idWatch = plan.watchesIDs ? try IDWatch(listener: receive("listener", socket)) : nil
      return RunningProcess(
        handle: handle, terminal: terminal, createdTargets: outcome.created,
        warnings: (cgroup?.warnings ?? []) + outcome.warnings.compactMap { $0.warning(plan) }, cgroup: cgroup,
        idWatch: idWatch, diesWithLauncher: spec.diesWithLauncher)
    } catch {
      try? handle.send(.kill)
      _ = try? handle.wait()
      throw error
    }
  }
}
