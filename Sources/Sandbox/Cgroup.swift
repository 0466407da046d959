internal import Core
internal import Linux

/// The control group of one container: a directory in every hierarchy that is needed.
///
/// Whatever this machine refuses becomes a warning: a missing limit never stops a build.
final class Cgroup: Sendable {
  /// Through these files the child joins what limits it, by writing `0`.
  let limitFiles: [String]
  /// The same of a v1 device group.
  let guardFile: String?
  /// The v2 directory in which the child is started.
  let unified: Directory?
  /// Whether devices other than the container's own are out of reach.
  let guardsDevices: Bool
  let warnings: [String]
  private let directories: [String]
  private let locks: [FileLock]

  /// Makes the group `name`, `stave/abc`, with `resources`. `rules` are the devices allowed; nil is all.
  static func create(
    _ name: String, resources: ResourceLimits, rules: [DeviceRule]?, in hierarchies: CgroupHierarchies
  ) -> Cgroup {
    var builder = CgroupBuilder(name: name, hierarchies: hierarchies)
    builder.make(resources: resources, rules: rules)
    return Cgroup(builder)
  }

  private init(_ builder: CgroupBuilder) {
    limitFiles = builder.limitFiles
    guardFile = builder.guardFile
    unified = builder.unified
    guardsDevices = builder.guardsDevices
    warnings = builder.warnings
    directories = builder.directories
    locks = builder.locks
  }

  /// Removes the group, killing whatever is still in it. Again is harmless.
  func destroy() {
    for directory in directories.reversed() {
      for attempt in 0..<200 as Range<UInt32> {
        do {
          try HostPath.removeDirectory(directory)
        } catch let error as SystemError where error.code == .busy {
          // Dead processes leave their group a moment after they are reaped.
          if attempt == 4 { try? OpenFile(directory + "/cgroup.kill", .append).write("1") }
          pause(microseconds: min(50 << min(attempt, 10), 5000))
          continue
        } catch {}
        break
      }
      if let slash = directory.lastIndex(of: "/") {
        // Others' containers keep the directory above.
        try? HostPath.removeDirectory(String(directory[..<slash]))
      }
    }
  }
}
