internal import Builder
internal import Core
internal import Graph
internal import Linux
internal import Store

/// The caches of other machines that one build uses and writes.
struct BuildCaches: Sendable {
  let imports: CacheImport?
  /// Whether images take the records of their own steps along.
  private let isInline: Bool
  private let targets: [(export: CacheExport, ignoresErrors: Bool)]
  private let reporter: ProgressReporter
  /// Whether layers go as soon as they are made. Beside a push they don't: both would compress them.
  private let isEarly: Bool

  /// Refuses what is wrong with the request's flags; begins to fetch what the caches have.
  init(_ request: BuildRequest, _ store: Store, _ reporter: ProgressReporter) throws {
    let targets = try request.cacheTo.flatMap { try CacheTarget.parse($0) }
    let origins = try request.cacheFrom.flatMap { try CacheOrigin.parse($0) }
    self.reporter = reporter
    isEarly = request.push == nil
    isInline = targets.contains { $0.option == .inline }
    let sources = try origins.map { try BuildCaches.source($0, request) }
    let imports =
      sources.isEmpty
      ? nil : try CacheImport(sources, platforms: request.wantedPlatforms, store: store, reporter: reporter)
    self.imports = imports
    self.targets = try targets.filter { $0.option != .inline }.map { target in
      let export = try CacheExport(
        to: BuildCaches.place(target.option, request), mode: target.mode, packing: target.packing, store: store,
        imports: imports)
      return (export, target.ignoresErrors)
    }
  }

  /// Told of each layer that a step made.
  func layerMade(_ vertex: VertexID, _ diffID: Digest, _ plans: [BuildPlan]) {
    guard isEarly else { return }
    for target in targets { target.export.layerMade(vertex, diffID, in: plans) }
  }

  /// What the images of `plans` take along, in their order.
  func inline(_ plans: [BuildPlan], _ definitions: StepDefinitions, _ store: Store) async throws -> [InlineCache?] {
    var out: [InlineCache?] = []
    for plan in plans { out.append(isInline ? try await InlineCache(plan, definitions, store, imports) : nil) }
    return out
  }

  /// Writes the caches of a build that succeeded.
  func export(_ plans: [BuildPlan], _ definitions: StepDefinitions) async throws {
    for target in targets {
      do {
        try await reporter.internalStep(target.export.title) {
          log in try await target.export.finish(plans, definitions, log: log)
        }
      } catch let error where target.ignoresErrors && !(error is CancellationError) {
        reporter.warning(Diagnostic(.warning, "the cache was not written: \(error)"))
      }
    }
  }

  /// Ends what is still on its way, of a build that failed or is done.
  func end() async {
    imports?.cancel()
    for target in targets { await target.export.cancel() }
  }

  private static func source(_ option: CacheOption, _ request: BuildRequest) throws -> any CacheSource {
    if case .local(let path, let tag) = option { return DirectoryCache(path, tag: tag) }
    return try registry(option, request)
  }

  private static func place(_ option: CacheOption, _ request: BuildRequest) throws -> any CacheDestination {
    if case .local(let path, let tag) = option { return DirectoryCache(path, tag: tag) }
    return try registry(option, request)
  }

  private static func registry(_ option: CacheOption, _ request: BuildRequest) throws -> RegistryCache {
    guard case .registry(let reference) = option else { throw Failure("use a cache", "it is in no registry") }
    return RegistryCache(reference, try RegistryAccess(request.registries, for: reference.registry).client)
  }
}
