internal import Core
internal import Linux

/// Where this machine's control groups are: one unified tree (v2), a tree for each controller (v1), or both (hybrid).
struct CgroupHierarchies: Sendable, Equatable {
  /// The mount point of cgroup2.
  var unified: String?
  /// The mount point of each v1 controller.
  var controllers: [String: String] = [:]

  /// Reads the form of /proc/self/mountinfo (proc_pid_mountinfo(5)).
  init(mountinfo: String) {
    let known = ["memory", "cpu", "cpuset", "pids", "devices"]
    for line in mountinfo.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { continue }
      let place = String(fields[4])
      switch fields[dash + 1] {
      case "cgroup2": if unified == nil { unified = place }
      case "cgroup":
        for option in fields[dash + 3].split(separator: ",") where known.contains(String(option)) {
          if controllers[String(option)] == nil { controllers[String(option)] = place }
        }
      default: break
      }
    }
  }

  var isUnifiedOnly: Bool { unified != nil && controllers.isEmpty }

  /// This machine's, as this process sees it.
  static func current() -> CgroupHierarchies {
    let bytes = (try? HostPath.read("/proc/self/mountinfo", limit: 1 << 24)) ?? []
    return CgroupHierarchies(mountinfo: String(decoding: bytes, as: UTF8.self))
  }
}
