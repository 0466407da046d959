public import Core
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
        InfoEntry(name: "Layer Mount", value: "tree (layers are unpacked once; EROFS indexes come later)"),
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

  /// `system df`: one row a kind.
  public func diskUsage() async throws -> [DiskUsage] {
    try await withStore { store in
      let usage = try store.du()
      let rows = [
        ("Images", usage.images), ("Containers", usage.containers), ("Local Volumes", usage.volumes),
        ("Build Cache", usage.buildCache),
      ]
      return rows.map { type, row in
        DiskUsage(type: type, total: row.total, active: row.active, size: row.size, reclaimable: row.reclaimable)
      }
    }
  }

  /// `system df -v`: Docker's `Images`, `Containers`, `Volumes` and `BuildCache`, each object with its size in bytes.
  public func diskUsageDetails() async throws -> JSON {
    let images = try await images(all: true)
    let containers = try await containers(all: true, withSize: true)
    let cache = try await withStore { store in
      try store.steps().map { record in
        JSON.members([
          "ID": .string(record.key.short), "Description": .string(record.title), "CacheType": "regular",
          "CreatedAt": .string(record.started.rfc3339),
          "Size": .int(try record.resultDiffID.flatMap { try store.layer($0)?.size } ?? 0),
        ])
      }
    }
    return .object([
      "Images": .array(
        images.map {
          .object([
            "Repository": .string($0.repository ?? "<none>"), "Tag": .string($0.tag ?? "<none>"),
            "ID": .string($0.id.text), "CreatedAt": .string(($0.created ?? Timestamp(seconds: 0)).rfc3339),
            "Size": .int($0.size), "Containers": .int(Int64($0.containers)),
          ])
        }),
      "Containers": .array(
        containers.map {
          .object([
            "ID": .string($0.id), "Image": .string($0.image), "Command": .string($0.command.joined(separator: " ")),
            "Size": .int($0.size ?? 0), "CreatedAt": .string($0.created.rfc3339), "Status": .string($0.state.word),
            "Names": .string($0.name),
          ])
        }),
      "Volumes": .array([]), "BuildCache": .array(cache),
    ])
  }

  /// Removes stopped containers, images without a name (with `all` all unused ones) and unused build cache.
  public func pruneSystem(all: Bool, filters: [(name: String, value: String)]) async throws -> PruneOutcome {
    let until = try PruneFilters(filters, command: "system prune").until
    return try await withStore { store in
      let containers = try Engine.removeStopped(store, until: until)
      var outcome = try Engine.execute(
        PrunePlan.Scope(danglingImages: true, unusedImages: all, buildCache: true, until: until), store)
      outcome.containers = containers.removed
      outcome.reclaimed += containers.reclaimed
      return outcome
    }
  }

  /// Removes step records and layers that no image needs.
  public func pruneBuildCache(all: Bool, filters: [(name: String, value: String)]) async throws -> PruneOutcome {
    let until = try PruneFilters(filters, command: "builder prune").until
    return try await withStore { store in
      try Engine.execute(PrunePlan.Scope(buildCache: true, until: until), store)
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

  /// Plans a collection and does it.
  static func execute(_ scope: PrunePlan.Scope, _ store: Store) throws -> PruneOutcome {
    let plan = try store.prune(scope)
    var outcome = PruneOutcome()
    outcome.images.untagged = plan.images.flatMap(\.names)
    outcome.images.deleted = plan.images.map(\.id) + plan.layers.map(\.digest)
    outcome.images.reclaimed = plan.size
    outcome.cacheRecords = plan.steps.map(\.text)
    outcome.reclaimed = plan.size
    return outcome
  }

  private static func cgroupForm() throws -> String {
    if try HostPath.status("/sys/fs/cgroup/cgroup.controllers") != nil { return "v2" }
    if try HostPath.status("/sys/fs/cgroup/unified") != nil { return "hybrid (v1 controllers)" }
    return try HostPath.status("/sys/fs/cgroup") != nil ? "v1" : "none"
  }
}
