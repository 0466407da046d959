internal import CSandbox
internal import Core
internal import Linux

/// Makes the directories of a control group and writes its limits.
struct CgroupBuilder {
  let name: String
  let hierarchies: CgroupHierarchies
  var limitFiles: [String] = []
  var guardFile: String?
  var directories: [String] = []
  /// Tell whoever sweeps that the directories have an owner who lives.
  var locks: [FileLock] = []
  var unified: Directory?
  var guardsDevices = false
  var warnings: [String] = []

  init(name: String, hierarchies: CgroupHierarchies) {
    self.name = name
    self.hierarchies = hierarchies
  }

  mutating func make(resources: ResourceLimits, rules: [DeviceRule]?) {
    if let mount = hierarchies.unified, rules != nil || hierarchies.isUnifiedOnly { makeUnified(mount) }
    if let rules { guardDevices(rules) }
    guard !resources.isEmpty else { return }
    if hierarchies.isUnifiedOnly {
      limitUnified(resources)
    } else if hierarchies.controllers.isEmpty {
      warnings.append(
        "limit resources: "
          + (hierarchies.isDelegated
            ? "no control group was delegated to this user" : "there are no control groups here"))
    } else {
      limitEach(resources)
    }
  }

  /// The path of the group in the hierarchy at `mount`; made, with the ones above. Nil where that is refused.
  private mutating func makeDirectory(_ mount: String) -> String? {
    let path = mount + "/" + name
    CgroupSweep.run(mount)
    // Another container's end may remove the directory above just now.
    for _ in 0..<20 {
      do {
        try HostPath.makeDirectories(path)
        directories.append(path)
        if let lock = try? FileLock.attempt(path, .exclusive) { locks.append(lock) }
        return path
      } catch let error as SystemError where error.code == .noEntry {
        continue
      } catch {
        return nil
      }
    }
    return nil
  }

  private mutating func makeUnified(_ mount: String) {
    guard let path = makeDirectory(mount) else { return }
    unified = try? Directory(path)
  }

  private mutating func guardDevices(_ rules: [DeviceRule]) {
    if let unified {
      if let program = DeviceGuard.program(rules),
        stave_attach_device_guard(unified.file.descriptor, program.descriptor) == 0
      {
        guardsDevices = true
        return
      }
    }
    guard let mount = hierarchies.controllers["devices"], let path = makeDirectory(mount) else { return }
    do {
      try write("a", to: path + "/devices.deny")
      for rule in rules { try write(rule.text, to: path + "/devices.allow") }
      guardFile = path + "/cgroup.procs"
      guardsDevices = true
    } catch {}
  }

  private func write(_ text: String, to path: String) throws { try OpenFile(path, .append).write(text) }

  private mutating func set(_ what: String, _ value: String?, _ path: String) {
    guard let value else { return }
    do {
      try write(value, to: path)
    } catch {
      warnings.append("limit \(what): \((error as? SystemError)?.code.text ?? "\(error)")")
    }
  }

  // MARK: - v2

  private mutating func limitUnified(_ resources: ResourceLimits) {
    guard let mount = hierarchies.unified, unified != nil else {
      warnings.append(
        "limit resources: "
          + (hierarchies.isDelegated
            ? "no control group was delegated to this user" : "the control group can't be made here"))
      return
    }
    // A controller must be passed down from every directory above.
    var above = [mount]
    for part in name.split(separator: "/").dropLast() { above.append(above[above.count - 1] + "/" + part) }
    for controller in ["memory", "cpu", "pids", "cpuset"] {
      for directory in above { try? write("+" + controller, to: directory + "/cgroup.subtree_control") }
    }
    let path = mount + "/" + name
    set("memory", resources.memory.map(String.init), path + "/memory.max")
    set("memory reservation", resources.memoryReservation.map(String.init), path + "/memory.low")
    if let both = resources.memorySwap {
      let swap = both < 0 ? "max" : String(max(0, both - (resources.memory ?? 0)))
      set("swap", swap, path + "/memory.swap.max")
    }
    if resources.cpuQuota != nil || resources.cpuPeriod != nil {
      let quota = resources.cpuQuota.map { $0 < 0 ? "max" : String($0) } ?? "max"
      set("cpu", "\(quota) \(resources.cpuPeriod ?? 100_000)", path + "/cpu.max")
    }
    if let shares = resources.cpuShares {
      let weight = 1 + (min(max(shares, 2), 262_144) - 2) * 9999 / 262_142
      set("cpu shares", String(weight), path + "/cpu.weight")
    }
    set("pids", resources.pids.map { $0 < 0 ? "max" : String($0) }, path + "/pids.max")
    set("cpuset", resources.cpusetCPUs, path + "/cpuset.cpus")
    set("cpuset memory nodes", resources.cpusetMems, path + "/cpuset.mems")
  }

  // MARK: - v1

  /// The group in the hierarchy of `controller`, to be joined; nil, with a warning, where there is none.
  private mutating func group(_ controller: String) -> String? {
    guard let mount = hierarchies.controllers[controller], let path = makeDirectory(mount) else {
      warnings.append("limit \(controller): the control group can't be made here")
      return nil
    }
    let file = path + "/cgroup.procs"
    if !limitFiles.contains(file) { limitFiles.append(file) }
    return path
  }

  private mutating func limitEach(_ resources: ResourceLimits) {
    if resources.memory != nil || resources.memorySwap != nil || resources.memoryReservation != nil,
      let path = group("memory")
    {
      set("memory", resources.memory.map(String.init), path + "/memory.limit_in_bytes")
      set("memory reservation", resources.memoryReservation.map(String.init), path + "/memory.soft_limit_in_bytes")
      set("swap", resources.memorySwap.map(String.init), path + "/memory.memsw.limit_in_bytes")
    }
    if resources.cpuQuota != nil || resources.cpuPeriod != nil || resources.cpuShares != nil, let path = group("cpu") {
      set("cpu period", resources.cpuPeriod.map(String.init), path + "/cpu.cfs_period_us")
      set("cpu", resources.cpuQuota.map(String.init), path + "/cpu.cfs_quota_us")
      set("cpu shares", resources.cpuShares.map(String.init), path + "/cpu.shares")
    }
    if let pids = resources.pids, let path = group("pids") {
      set("pids", pids < 0 ? "max" : String(pids), path + "/pids.max")
    }
    if resources.cpusetCPUs != nil || resources.cpusetMems != nil, let path = group("cpuset") {
      inheritSets(path)
      set("cpuset", resources.cpusetCPUs, path + "/cpuset.cpus")
      set("cpuset memory nodes", resources.cpusetMems, path + "/cpuset.mems")
    }
  }

  /// A new v1 cpuset has no processors and no memory, and can't be joined: it gets those of the group above.
  private mutating func inheritSets(_ path: String) {
    guard let mount = hierarchies.controllers["cpuset"] else { return }
    for file in ["cpuset.cpus", "cpuset.mems"] {
      guard let value = try? HostPath.read(mount + "/" + file, limit: 65536) else { continue }
      let text = String(decoding: value.filter { $0 > 32 }, as: UTF8.self)
      var directory = mount
      for part in name.split(separator: "/") {
        directory += "/" + part
        set("cpuset", text, directory + "/" + file)
      }
    }
  }
}
