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
    /// The program that finds calls for ids which there are none of (array of `struct sock_filter`), nil for none.
    public var idWatch: [UInt8]?
    /// `cgroup.procs` files through which the child joins the groups that limit it. A failure is a warning.
    public var limitFiles: [String] = []
    /// The same of the group that keeps it from devices, which it must join.
    public var guardFile: String?
    /// Whether the launcher may give its children other groups; without privileges a user namespace keeps them.
    public var canSetGroups = true
    /// Whether the launcher is root of the machine, not of a user namespace: there overlayfs keeps its marks in other
    /// attributes, devices can't be made, and a new /sys is refused with the host's network.
    public var isMachineRoot = true
    /// Whether the terminal group, 5, is an id of the launcher's namespace.
    public var mapsTerminalGroup = true
    /// Whether a device control group keeps the process from devices. Without, every mount is `nodev` and the devices
    /// of /dev are bound one by one.
    public var guardsDevices = true
    /// Whether control groups are the unified hierarchy alone, so that /sys/fs/cgroup can be mounted.
    public var hasUnifiedCgroups = true
    /// How lowers reach the overlay; anything but `any` is for tests.
    var overlayForm = OverlayForm.any
    /// The size of the terminal, for a spec that has one.
    public var terminalSize: (rows: UInt16, columns: UInt16) = (0, 0)

    public init() {}

    public static func == (a: Self, b: Self) -> Bool {
      a.seccompProgram == b.seccompProgram && a.idWatch == b.idWatch && a.limitFiles == b.limitFiles
        && a.guardFile == b.guardFile && a.canSetGroups == b.canSetGroups && a.isMachineRoot == b.isMachineRoot
        && a.mapsTerminalGroup == b.mapsTerminalGroup && a.guardsDevices == b.guardsDevices
        && a.hasUnifiedCgroups == b.hasUnifiedCgroups && a.overlayForm == b.overlayForm
        && a.terminalSize == b.terminalSize
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

  /// Puts the tree `skeleton` below all layers of an overlay root. Where there are as many layers as the kernel
  /// stacks, the targets are made in the upper layer, and reported.
  mutating func addSkeleton(_ skeleton: String) {
    let lowers = steps.count { $0.lower != nil }
    guard lowers < Kernel.maximalLowers, let place = steps.lastIndex(where: { $0.lower != nil }) else { return }
    steps.insert(.lower(.init(layer: .tree(skeleton))), at: place + 1)
  }

  /// Lets `mount` make the layers that the child can't mount itself: each a descriptor that the child inherits.
  mutating func handIn(_ mount: (SpawnStep.LowerStep) throws -> Int32) rethrows {
    for place in steps.indices {
      guard var lower = steps[place].lower, lower.handedIn else { continue }
      lower.mount = try mount(lower)
      steps[place] = .lower(lower)
    }
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
  var watchesIDs: Bool { steps.contains { if case .watchIDs = $0 { true } else { false } } }
}
