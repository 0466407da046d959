public import Core

/// What is done to start a process, in order: a value with a stable text form, made from a `ProcessSpec` and facts of
/// the host, and performed by CSandbox.
public struct SpawnPlan: Sendable, Equatable, CustomStringConvertible {
  /// New namespaces, made by clone3(2) itself.
  let namespaces: [NamespaceSpec.Kind]
  private(set) var steps: [SpawnStep]
  /// Places of mounts that the root must have, parents first. An overlay gets the missing ones from a layer below all
  /// others, so that they never come into a layer.
  let mountTargets: [MountTarget]

  /// The place of a mount: a directory, or for a bind mount whatever `source` is.
  struct MountTarget: Sendable, Equatable {
    var path: String
    var source: String?
  }

  /// What a plan depends on besides the spec.
  public struct Surroundings: Sendable, Equatable {
    /// The seccomp program of the spec's profile (array of `struct sock_filter`), nil for none.
    public var seccompProgram: [UInt8]?
    /// `cgroup.procs` files through which the child joins the groups that limit it. A failure is a warning.
    public var limitFiles: [String] = []
    /// The same of the group that keeps it from devices, which it must join.
    public var guardFile: String?
    /// Whether the launcher may give its children other groups; without privileges a user namespace keeps them.
    public var canSetGroups = true
    /// Whether a device control group keeps the process from devices. Without, every mount is `nodev` and the devices
    /// of /dev are bound one by one.
    public var guardsDevices = true
    /// Whether control groups are the unified hierarchy alone, so that /sys/fs/cgroup can be mounted.
    public var hasUnifiedCgroups = true
    /// The size of the terminal, for a spec that has one.
    public var terminalSize: (rows: UInt16, columns: UInt16) = (0, 0)

    public init() {}

    public static func == (a: Self, b: Self) -> Bool {
      a.seccompProgram == b.seccompProgram && a.limitFiles == b.limitFiles && a.guardFile == b.guardFile
        && a.canSetGroups == b.canSetGroups && a.guardsDevices == b.guardsDevices
        && a.hasUnifiedCgroups == b.hasUnifiedCgroups && a.terminalSize == b.terminalSize
    }
  }

  /// Plans `spec`; throws a `Failure` for what can't be done.
  public init(_ spec: ProcessSpec, in surroundings: Surroundings) throws {
    var planner = SpawnPlanner(spec: spec, surroundings: surroundings)
    try planner.plan()
    namespaces = planner.cloned
    steps = planner.steps
    mountTargets = planner.targets
  }

  /// The same plan with the tree `skeleton` below all layers of an overlay root.
  func withSkeleton(_ skeleton: String) -> SpawnPlan {
    var copy = self
    copy.steps = steps.map { step in
      guard case .overlayRoot(let lowers, let upper, let work, let options, let attributes) = step else {
        return step
      }
      return .overlayRoot(
        lowers: lowers + [skeleton], upper: upper, work: work, options: options, attributes: attributes)
    }
    return copy
  }

  /// One line a step.
  public var description: String {
    let first = "clone " + namespaces.map(\.rawValue).joined(separator: " ")
    return ([first] + steps.map(\.description)).map { $0 + "\n" }.joined()
  }

  /// The program for CSandbox.
  func encoded() throws -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(16384)
    for step in steps { try step.encode(into: &out) }
    return out
  }

  var cloneFlags: UInt64 { namespaces.reduce(0) { $0 | $1.cloneFlag } }
  var waitsForIDMaps: Bool { steps.contains(.waitForIDMaps) }
}
