internal import CSandbox
internal import Core
internal import Linux

/// The control group of one container: a directory in every hierarchy that is needed.
///
/// Whatever this machine refuses becomes a warning: a missing limit never stops a build.
final class Cgroup: Sendable {
  /// Through these files the child joins, by writing `0`.
  let joinFiles: [String]
  /// The v2 directory in which the child is started.
  let unified: Directory?
  /// Whether devices other than the container's own are out of reach.
  let guardsDevices: Bool
  let warnings: [String]
  private let directories: [String]

  /// Makes the group `name`, `stave/abc`, with `resources`. `rules` are the devices allowed; nil is all. Returns nil if
  /// there is no group to be had; then `warn` says what is missing.
  static func create(
    _ name: String, resources: ResourceLimits, rules: [DeviceRule]?, in hierarchies: CgroupHierarchies
  ) -> Cgroup {
    var builder = CgroupBuilder(name: name, hierarchies: hierarchies)
    builder.make(resources: resources, rules: rules)
    return Cgroup(builder)
  }

  private init(_ builder: CgroupBuilder) {
    joinFiles = builder.joinFiles
    unified = builder.unified
    guardsDevices = builder.guardsDevices
    warnings = builder.warnings
    directories = builder.directories
  }

  /// Removes the group, killing whatever is still in it. Again is harmless.
  func destroy() {
    for directory in directories.reversed() {
      for attempt in 0..<200 {
        do {
          try HostPath.removeDirectory(directory)
        } catch let error as SystemError where error.code == .busy {
          // Dead processes leave their group a moment after they are reaped.
          if attempt == 0 { try? OpenFile(directory + "/cgroup.kill", .append).write("1") }
          pause(milliseconds: 1)
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

/// A device that a container may use.
struct DeviceRule: Sendable, Equatable {
  /// `c`, `b`, or `a` for both.
  var type: Character
  /// Nil is all.
  var major: UInt32?
  var minor: UInt32?
  /// Of `r`, `w`, `m`.
  var access: String

  /// What Docker lets every container do: make any node, and use the standard ones and terminals.
  static let standard: [DeviceRule] =
    [
      DeviceRule(type: "c", access: "m"), DeviceRule(type: "b", access: "m"),
      DeviceRule(type: "c", major: 136, access: "rwm"),
    ]
    + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)].map {
      DeviceRule(type: "c", major: $0.0, minor: $0.1, access: "rwm")
    }

  /// `c 1:3 rwm`, as the v1 controller takes it.
  var text: String {
    "\(type) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*") \(access)"
  }

  var wire: stave_device_rule {
    var bits: UInt32 = 0
    if access.contains("m") { bits |= 1 }
    if access.contains("r") { bits |= 2 }
    if access.contains("w") { bits |= 4 }
    return stave_device_rule(
      type: type == "b" ? 1 : type == "c" ? 2 : 0, major: major.map { Int32(clamping: $0) } ?? -1,
      minor: minor.map { Int32(clamping: $0) } ?? -1, access: bits)
  }
}
