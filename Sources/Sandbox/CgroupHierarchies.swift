internal import Core
internal import Linux

/// Where control groups can be made: in one unified tree (v2), a tree for each controller (v1), or both (hybrid).
struct CgroupHierarchies: Sendable, Equatable {
  /// The directory of cgroup2 below which ours are made: its mount point, or what was delegated.
  var unified: String?
  /// The same of each v1 controller.
  var controllers: [String: String] = [:]
  /// Whether the machine has the unified tree alone.
  var isUnifiedOnly: Bool
  /// Whether only what was delegated to this user counts.
  private(set) var isDelegated = false

  /// One mount of the form of /proc/self/mountinfo (proc_pid_mountinfo(5)).
  private struct Mount {
    /// The directory of the hierarchy that is mounted, and where.
    var root: String
    var place: String
    /// Nil for cgroup2.
    var controllers: [String]?
  }

  private static let known = ["memory", "cpu", "cpuset", "pids", "devices"]

  private static func mounts(_ mountinfo: String) -> [Mount] {
    mountinfo.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
      let (root, place) = (String(fields[3]), String(fields[4]))
      switch fields[dash + 1] {
      case "cgroup2": return Mount(root: root, place: place, controllers: nil)
      case "cgroup":
        let controllers = fields[dash + 3].split(separator: ",").map(String.init).filter { known.contains($0) }
        return controllers.isEmpty ? nil : Mount(root: root, place: place, controllers: controllers)
      default: return nil
      }
    }
  }

  /// All hierarchies, in their mount points: for root.
  init(mountinfo: String) {
    for mount in Self.mounts(mountinfo) {
      guard let names = mount.controllers else {
        unified = unified ?? mount.place
        continue
      }
      for name in names where controllers[name] == nil { controllers[name] = mount.place }
    }
    isUnifiedOnly = unified != nil && controllers.isEmpty
  }

  /// What was delegated to a user (Linux, Documentation/admin-guide/cgroup-v2.rst, Delegation): of the groups that the
  /// process is in, by the text `own` of /proc/self/cgroup, those in which `isWritable` lets it make others. In the
  /// unified tree the group above is better, since a group with processes can't have limits for groups below.
  init(mountinfo: String, own: String, isWritable: (String) -> Bool) {
    self.init(mountinfo: mountinfo)
    isDelegated = true
    unified = nil
    controllers = [:]
    var groups: [(controllers: [String], path: String)] = []
    for line in own.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      groups.append((fields[1].split(separator: ",").map(String.init), String(fields[2])))
    }
    for mount in Self.mounts(mountinfo) {
      let group = groups.first { group in
        mount.controllers.map { !Set($0).isDisjoint(with: group.controllers) } ?? group.controllers.isEmpty
      }
      guard let group, let place = Self.place(group.path, in: mount) else { continue }
      guard let names = mount.controllers else {
        let above = place == mount.place ? place : TreePath(clamping: place).parent.absolute
        unified = unified ?? [above, place].first { isWritable($0 + "/cgroup.procs") && isWritable($0) }
        continue
      }
      guard isWritable(place + "/cgroup.procs"), isWritable(place) else { continue }
      for name in names where controllers[name] == nil { controllers[name] = place }
    }
  }

  /// Where the group `path` is, nil if it is not in what is mounted.
  private static func place(_ path: String, in mount: Mount) -> String? {
    guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else { return nil }
    if mount.root == "/" { return path == "/" ? mount.place : mount.place + path }
    guard path == mount.root || path.hasPrefix(mount.root + "/") else { return nil }
    return mount.place + path.dropFirst(mount.root.count)
  }

  /// This machine's, as this process may use them; looked at once.
  static let current: CgroupHierarchies = {
    let isRoot = UserNamespace.isInitial && Machine.effectiveUserID == 0
    // The list of all mounts can be long: only where it must be read.
    if isRoot, let usual = CgroupHierarchies(below: "/sys/fs/cgroup") { return usual }
    let mountinfo = text("/proc/self/mountinfo")
    if isRoot { return CgroupHierarchies(mountinfo: mountinfo) }
    return CgroupHierarchies(
      mountinfo: mountinfo, own: text("/proc/self/cgroup"), isWritable: { HostPath.isWritable($0) })
  }()

  /// The hierarchies where they usually are, `place` itself or directories in it; nil where there are none. A machine
  /// may have hundreds of mounts: its whole list takes longer to read than a container to start.
  init?(below place: String) {
    if HostPath.fileSystemType(place) == Self.version2 {
      (unified, isUnifiedOnly) = (place, true)
      return
    }
    isUnifiedOnly = false
    for name in Self.known where HostPath.fileSystemType("\(place)/\(name)") == Self.version1 {
      controllers[name] = "\(place)/\(name)"
    }
    if HostPath.fileSystemType(place + "/unified") == Self.version2 { unified = place + "/unified" }
    if unified == nil, controllers.isEmpty { return nil }
    isUnifiedOnly = controllers.isEmpty
  }

  // Types of file systems (statfs(2)).
  private static let version1: Int64 = 0x27_e0eb
  private static let version2: Int64 = 0x6367_7270

  private static func text(_ path: String) -> String {
    String(decoding: (try? HostPath.read(path, limit: 1 << 24)) ?? [], as: UTF8.self)
  }
}

/// Control groups as `info` tells of them.
public enum ControlGroups {
  /// The controllers that can limit what this process starts, sorted; empty where none can.
  public static func usable() -> [String] {
    let hierarchies = CgroupHierarchies.current
    var names = Set(hierarchies.controllers.keys)
    if hierarchies.isUnifiedOnly, let unified = hierarchies.unified,
      let bytes = try? HostPath.read(unified + "/cgroup.controllers", limit: 65536)
    {
      names.formUnion(String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init))
    }
    return names.sorted()
  }
}
