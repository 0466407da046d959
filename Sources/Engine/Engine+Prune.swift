internal import Core
internal import Linux
internal import Store

extension Engine {
  /// Removes images without a name, or with `all` those that no container uses.
  public func pruneImages(all: Bool, filters: [(name: String, value: String)], dryRun: Bool = false) async throws
    -> PruneOutcome
  {
    let filters = try PruneFilters(filters, command: "image prune", allowing: ["until", "label", "label!"])
    return try await withStore { store in
      try Engine.execute(
        PrunePlan.Scope(danglingImages: true, unusedImages: all, until: filters.until, labels: filters.labels), store,
        dryRun: dryRun)
    }
  }

  /// Removes all containers that do not run.
  public func pruneContainers(filters: [(name: String, value: String)], dryRun: Bool = false) async throws
    -> PruneOutcome
  {
    let filters = try PruneFilters(filters, command: "container prune", allowing: ["until", "label", "label!"])
    return try await withStore { store in try Engine.removeStopped(store, filters, dryRun: dryRun) }
  }

  /// Removes stopped containers, images without a name (with `all` all unused ones) and unused build cache.
  public func pruneSystem(all: Bool, filters: [(name: String, value: String)], dryRun: Bool = false) async throws
    -> PruneOutcome
  {
    let filters = try PruneFilters(filters, command: "system prune", allowing: ["until", "label", "label!"])
    return try await withStore { store in
      let containers = try Engine.removeStopped(store, filters, dryRun: dryRun)
      let scope = PrunePlan.Scope(
        danglingImages: true, unusedImages: all, buildCache: true, everyStep: all, until: filters.until,
        labels: filters.labels)
      var outcome = try Engine.execute(scope, store, dryRun: dryRun)
      outcome.containers = containers.containers
      outcome.reclaimed += containers.reclaimed
      outcome.plan = containers.plan + outcome.plan
      return outcome
    }
  }

  /// Removes step records and layers that no image needs, with `all` every record. With `keepStorage` those of least
  /// value, until the cache has at most so many bytes.
  public func pruneBuildCache(
    all: Bool, filters: [(name: String, value: String)], keepStorage: Int64? = nil, dryRun: Bool = false
  ) async throws -> PruneOutcome {
    let filters = try PruneFilters(filters, command: "builder prune", allowing: ["until", "unused-for"])
    return try await withStore { store in
      try Engine.execute(
        PrunePlan.Scope(buildCache: true, everyStep: all, until: filters.until, keepStorage: keepStorage), store,
        dryRun: dryRun)
    }
  }

  /// Plans a collection and, unless it is only to be shown, does it.
  private static func execute(_ scope: PrunePlan.Scope, _ store: Store, dryRun: Bool) throws -> PruneOutcome {
    let plan = dryRun ? try store.prunePlan(scope) : try store.prune(scope)
    var outcome = PruneOutcome()
    outcome.images.untagged = plan.images.flatMap(\.names)
    outcome.images.deleted = plan.images.map(\.id) + plan.layers.map(\.digest)
    outcome.images.reclaimed = plan.size
    outcome.cacheRecords = plan.steps.map { CacheUsage.id(of: $0.key) }
    outcome.reclaimed = plan.size
    outcome.plan = plan.text
    return outcome
  }

  private static func removeStopped(_ store: Store, _ filters: PruneFilters, dryRun: Bool) throws -> PruneOutcome {
    var outcome = PruneOutcome()
    for record in try store.containers() where !record.state.isRunning {
      if let until = filters.until, record.created >= until { continue }
      let labels = (record.config["labels"]?.object ?? [:]).compactMapValues(\.string)
      guard filters.labels.matches(labels) else { continue }
      let size = try TreeSize(of: store.containerPath(record.id) + "/upper").content
      if !dryRun {
        do {
          try store.removeContainer(record.id)
        } catch {
          // Another command was first.
          if try HostPath.status(store.containerPath(record.id)) != nil { throw error }
          continue
        }
      }
      outcome.reclaimed += size
      outcome.containers.append(record.id)
      outcome.plan += "container \(record.id) \(record.name) \(size)\n"
    }
    return outcome
  }

  /// Keeps the build cache below the limit after a build. What goes wrong here is no failure of the build.
  static func limitCache(_ store: Store, _ limit: CacheLimit) -> (freed: Int64, steps: Int)? {
    do {
      guard let plan = try store.limitCache(to: limit), !plan.isEmpty else { return nil }
      return (plan.size, plan.steps.count)
    } catch {
      return nil
    }
  }
}

extension BuildRequest.CacheSize {
  /// The same for the store.
  var limit: CacheLimit {
    switch self {
    case .bytes(let count): .bytes(count)
    case .percent(let share): .percent(share)
    case .unlimited: .unlimited
    }
  }
}
