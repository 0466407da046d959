internal import Core
internal import Builder
internal import Linux
internal import Store

extension Engine {
  /// What `version` prints. Opens nothing.
  public static func versionInfo() -> VersionInfo {
    VersionInfo(
      version: version, os: Platform.current.os, architecture: Platform.current.architecture,
      kernel: Machine.kernelRelease)
  }

  /// What `info` prints, in order.
  public func info() async throws -> [InfoEntry] {
    try await withStore { [root] store in
      let containers = try store.containers()
      let running = containers.filter { $0.state.isRunning }.count
      let space = try HostPath.space(root)
      let first: [InfoEntry] = [
        InfoEntry(name: "Containers", value: "\(containers.count)"),
        InfoEntry(name: " Running", value: "\(running)"),
        InfoEntry(name: " Stopped", value: "\(containers.count - running)"),
        InfoEntry(name: "Images", value: "\(try store.images().count)"),
        InfoEntry(name: "Server Version", value: Engine.version),
        InfoEntry(name: "Store", value: store.root),
        InfoEntry(name: "Store Free Bytes", value: "\(space.available)"),
        InfoEntry(name: "Layer Mount", value: try Engine.layerForm(store)),
        InfoEntry(name: "Default Network", value: "host (bridge networks are not supported yet)"),
        InfoEntry(name: "Networks", value: "host none"),
        InfoEntry(name: "Cgroup", value: try Engine.cgroupForm()),
        InfoEntry(name: "Security Options", value: "seccomp (Docker's default profile), 14 default capabilities"),
      ]
      let last: [InfoEntry] = [
        InfoEntry(name: "Kernel Version", value: Machine.kernelRelease),
        InfoEntry(name: "OS/Arch", value: Platform.current.description),
        InfoEntry(name: "CPUs", value: "\(Machine.processorCount)"),
        InfoEntry(name: "Total Memory", value: "\(Machine.memory)"),
        InfoEntry(name: "Name", value: Machine.hostName),
      ]
      return first + Engine.privileges() + last
    }
  }

  /// How layers become a root file system here, and why not better.
  private static func layerForm(_ store: Store) throws -> String {
    let reason = try store.layerFormReason().map { " (files can't be mounted: \($0))" } ?? ""
    return switch try store.layerForm() {
    case .file: "file: EROFS indexes over the layers' tars"
    case .loop: "loop: EROFS indexes over the layers' tars, through loop devices\(reason)"
    case .tree: "tree: layers are unpacked once\(reason)"
    }
  }

  /// Verifies digests and references; with `repair` removes what is damaged or left over.
  public func checkStore(repair: Bool) async throws -> [StoreProblem] {
    try await withStore { store in
      try store.check(repair: repair).map {
        StoreProblem(description: "\($0.object): \($0.reason)", repaired: $0.isRepaired)
      }
    }
  }

  private static func cgroupForm() throws -> String {
    if try HostPath.status("/sys/fs/cgroup/cgroup.controllers") != nil { return "v2" }
    if try HostPath.status("/sys/fs/cgroup/unified") != nil { return "hybrid (v1 controllers)" }
    return try HostPath.status("/sys/fs/cgroup") != nil ? "v1" : "none"
  }
}
