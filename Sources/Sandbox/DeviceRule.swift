internal import CSandbox
internal import Linux
internal import Synchronization

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
      minor: minor.map { Int32(clamping: $0) } ?? -1, minors: 0, access: bits)
  }

  /// `rules` with those in one that differ in their minor number only: the kernel checks a program in the time of its
  /// length, at every start of a container.
  static func wires(_ rules: [DeviceRule]) -> [stave_device_rule] {
    var out: [stave_device_rule] = []
    for wire in rules.map(\.wire) {
      let isSmall = wire.minor >= 0 && wire.minor < 32
      let same = out.firstIndex {
        $0.minors != 0 && $0.type == wire.type && $0.major == wire.major && $0.access == wire.access
      }
      if isSmall, let same {
        out[same].minors |= 1 << UInt32(wire.minor)
      } else {
        out.append(wire)
        if isSmall { out[out.count - 1].minors = 1 << UInt32(wire.minor) }
      }
    }
    return out
  }
}

/// The BPF programs that hold containers to their devices (Linux, Documentation/admin-guide/cgroup-v2.rst, Device
/// controller).
enum DeviceGuard {
  // Loading one costs as much as a quarter of a container's start: the one that most containers have is kept.
  private static let standard = Mutex<OpenFile?>(nil)

  /// The program that allows only `rules`; nil where the kernel refuses one.
  static func program(_ rules: [DeviceRule]) -> OpenFile? {
    guard rules == DeviceRule.standard else { return load(rules) }
    return standard.withLock { kept in
      if kept == nil { kept = load(rules) }
      return kept
    }
  }

  private static func load(_ rules: [DeviceRule]) -> OpenFile? {
    let wire = DeviceRule.wires(rules)
    let descriptor = stave_load_device_guard(wire, wire.count)
    return descriptor < 0 ? nil : OpenFile(owning: descriptor, path: "device guard")
  }
}
