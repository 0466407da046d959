public import Core
internal import Builder
internal import Dockerfile
internal import Graph
internal import Linux
internal import Store

extension Engine {
  /// Builds an image as `request` says; tells `progress` what happens.
  ///
  /// Throws a `Failure` for what is wrong with the request or the Dockerfile, a `StepFailure` when a RUN step's process
  /// fails, and `CancellationError` when the task is cancelled.
  public func build(_ request: BuildRequest, progress: @escaping @Sendable (ProgressEvent) -> Void) async throws
    -> BuildOutcome
  {
    let reporter = ProgressReporter(progress)
    do {
      let outcome = try await build(request, reporter)
      reporter.buildFinished(succeeded: true)
      return outcome
    } catch {
      reporter.buildFinished(succeeded: false)
      throw error
    }
  }

  private func build(_ request: BuildRequest, _ reporter: ProgressReporter) async throws -> BuildOutcome {
    let tags = try request.tags.map { text in
      let reference = try ImageReference(text)
      guard reference.digest == nil else { throw Failure("tag \(text)", "a tag can't have a digest") }
      return reference
    }
    try checkSupport(request)
    let store = try await openStore()
    let lease = try await BlockingPool.shared.run { try store.lease() }
    do {
      let outcome = try await build(request, tags, store, reporter)
      await release(lease, request, store, reporter)
      return outcome
    } catch {
      await release(lease, request, store, reporter)
      throw error
    }
  }

  /// Ends what the build holds, and collects garbage if the build could have made too much. One that was cancelled is
  /// to end at once.
  private func release(
    _ lease: Lease, _ request: BuildRequest, _ store: Store, _ reporter: ProgressReporter
  ) async {
    lease.release()
    if Task.isCancelled { return await BlockingPool.shared.run { try? store.countCache() } }
    let limit = request.cacheSize.limit
    guard let removed = await BlockingPool.shared.run({ Engine.limitCache(store, limit) }) else { return }
    reporter.message("removed \(removed.steps) least valuable steps from the build cache, \(removed.freed) bytes")
  }

  private func build(
    _ request: BuildRequest, _ tags: [ImageReference], _ store: Store, _ reporter: ProgressReporter
  ) async throws -> BuildOutcome {
    let caches = try BuildCaches(request, store, reporter)
    do {
      let outcome = try await build(request, tags, store, caches, reporter)
      await caches.end()
      return outcome
    } catch {
      await caches.end()
      throw error
    }
  }

  private func build(
    _ request: BuildRequest, _ tags: [ImageReference], _ store: Store, _ caches: BuildCaches,
    _ reporter: ProgressReporter
  ) async throws -> BuildOutcome {
    let sources = try await reporter.internalStep("load build definition from \(request.dockerfileName)") {
      try await BlockingPool.shared.run { try BuildSources(request) }
    }
    let plans = try await lower(sources, request, BaseImages(store, request, reporter))
    var told: [Diagnostic] = []
    for warning in plans.flatMap(\.plan.warnings) where !told.contains(warning) {
      told.append(warning)
      reporter.warning(warning)
    }
    if request.rewritesTimestamps, plans.contains(where: { $0.plan.sourceDateEpoch == nil }) {
      reporter.warning(Diagnostic(.warning, "--rewrite-timestamp does nothing without --source-date-epoch"))
    }
    // As Docker: neither a file nor a setting would be in the image.
    guard
      plans.allSatisfy({ !$0.plan.history.isEmpty || $0.plan.vertices.contains(where: { $0.op != .scratch }) })
    else {
      throw Failure("", "No image was generated. Is your Dockerfile empty?")
    }

    let context = try await BlockingPool.shared.run { try sources.openContext(store) }
    let push = try await BlockingPool.shared.run { try BuildPush(request, tags, plans.map(\.plan), store, reporter) }
    let executor = try StepExecutor(
      store: store, plans: plans.map(\.plan), context: context, source: sources.document, reporter: reporter,
      imports: caches.imports,
      layerMade: {
        push?.layers.layerMade($0, $1)
        caches.layerMade($0, $1, plans.map(\.plan))
      })
    let solver = Solver(executor, parallelism: request.jobs ?? max(2, Machine.processorCount)) { reporter.report($0) }
    let built: Result<BuildExport.Result, any Error>
    do {
      var results: [(platform: Platform, plan: BuildPlan, layers: [StackedLayer])] = []
      for (plan, stack) in zip(plans, try await solve(solver, plans.map(\.plan))) {
        results.append((plan.platform, plan.plan, try await stack.packed()))
      }
      let export = BuildExport(store: store, tags: tags, annotations: request.annotations, reporter: reporter)
      built = .success(
        try await reporter.export { [results] in
          let inline = try await caches.inline(results.map(\.plan), executor.definitions, store)
          return try await BlockingPool.shared.run { try export.write(results, inline) }
        })
    } catch {
      built = .failure(error)
    }
    await executor.finish()
    // Also of a build that failed: the next one is likely to be of the same files.
    await BlockingPool.shared.run { context.saveIndex() }
    let written = try await pushed(built, push)
    try await caches.export(plans.map(\.plan), executor.definitions)
    if let path = request.idFile { try HostPath.write(Array(written.metadata.imageID.text.utf8), to: path) }
    if let path = request.metadataFile {
      try HostPath.write(Array(written.metadata.json.pretty(indent: 2).utf8), to: path)
    }
    let counts = reporter.counts
    return BuildOutcome(
      imageID: written.own.id, descriptor: written.metadata.descriptor, shownID: written.metadata.imageID,
      tags: tags.map(\.familiar), executedSteps: counts.executed, cachedSteps: counts.cached)
  }

  /// What was built, after its push where there is one.
  private func pushed(_ built: Result<BuildExport.Result, any Error>, _ push: BuildPush?) async throws
    -> BuildExport.Result
  {
    guard let push else { return try built.get() }
    guard case .success(var result) = built else {
      await push.layers.settle(cancelling: true)
      return try built.get()
    }
    let sent = try await push.finish(result)
    result.metadata.descriptor.digest = sent.digest
    result.metadata.descriptor.size = sent.size
    result.metadata.descriptor.mediaType = sent.mediaType
    return result
  }

  /// The text form of the build graph: `build --print=graph`. Nothing is executed.
  public func graph(_ request: BuildRequest) async throws -> String {
    try checkSupport(request)
    let store = try await openStore()
    let sources = try await BlockingPool.shared.run { try BuildSources(request) }
    let plans = try await lower(sources, request, BaseImages(store, request, ProgressReporter { _ in }))
    if plans.count == 1 { return plans[0].plan.text }
    return plans.map { "# \($0.platform)\n\($0.plan.text)" }.joined(separator: "\n")
  }

  private func solve(_ solver: Solver<StepExecutor>, _ plans: [BuildPlan]) async throws -> [LayerStack] {
    do {
      return try await solver.solve(plans)
    } catch let error as ExecFailure {
      throw StepFailure(
        message: error.message, title: error.title, diagnostic: error.diagnostic, logTail: error.logTail,
        hint: error.hint, logPath: error.logPath, exitCode: error.exitCode)
    }
  }

  /// Refuses what a later release will do, so that nothing is ignored.
  private func checkSupport(_ request: BuildRequest) throws {
    if request.push != nil, request.tags.isEmpty {
      throw Failure("build --push", "tag is needed when pushing to registry", hint: "name the image with -t")
    }
    guard ["default", "host", "none"].contains(request.network) else {
      if request.network == "bridge" { throw Failure.notSupportedYet("build --network bridge") }
      throw Failure("build --network \(request.network)", "invalid network mode", hint: "use default, host or none")
    }
    let platforms = try request.wantedPlatforms
    if let other = platforms.first(where: { $0.os != "linux" }) {
      throw Failure.notSupportedYet("build --platform \(other)", hint: "Stave builds images for linux")
    }
    if platforms.count == 1,
      request.annotations.contains(where: { $0.place == .index || $0.place == .manifestDescriptor })
    {
      throw Failure("", "index annotations not supported for single platform export")
    }
  }

  /// Lowers for each platform, resolving base images until none is missing.
  private func lower(_ sources: BuildSources, _ request: BuildRequest, _ bases: BaseImages) async throws
    -> [(platform: Platform, plan: BuildPlan)]
  {
    let platforms = try request.wantedPlatforms
    var images: [ImageKey: ResolvedImage] = [:]
    var plans: [(platform: Platform, plan: BuildPlan)] = []
    for platform in platforms {
      var options = request.loweringOptions
      options.platform = platform
      options.showsPlatform = platforms.count > 1
      plans.append((platform, try await lower(sources, options, &images, bases)))
    }
    return plans
  }

  private func lower(
    _ sources: BuildSources, _ options: LoweringOptions, _ images: inout [ImageKey: ResolvedImage], _ bases: BaseImages
  ) async throws -> BuildPlan {
    var options = options
    while true {
      options.images = images
      switch try Graph.lower(sources.document, options) {
      case .plan(let plan): return plan
      case .needsImages(let wanted):
        try await withThrowingTaskGroup(of: (ImageKey, ResolvedImage).self) { group in
          for image in wanted { group.addTask { (image.key, try await bases.resolve(image)) } }
          for try await (key, image) in group { images[key] = image }
        }
      }
    }
  }
}

extension BuildRequest {
  /// What the plans of all platforms have in common.
  fileprivate var loweringOptions: LoweringOptions {
    var options = LoweringOptions()
    options.target = target
    options.buildArgs = resolvedArguments
    options.labels = labels.map { LoweringOptions.BuildArg($0.name, $0.value) }
    options.network = Op.Network(rawValue: network) ?? .default
    options.noCache = noCache
    options.rewritesTimestamps = rewritesTimestamps
    options.addHosts = addHosts
    return options
  }

  /// The platforms to build for, each once, in the order in which they were named.
  var wantedPlatforms: [Platform] {
    get throws {
      var seen: Set<Platform> = []
      let words = platforms.flatMap { $0.split(separator: ",").map { $0.filter { $0 != " " } } }
      let wanted = try words.map { $0 == "local" ? Platform.current : try Platform($0) }
      return wanted.isEmpty ? [.current] : wanted.filter { seen.insert($0).inserted }
    }
  }
}

extension BuildRequest {
  /// `Dockerfile`, the path of `-f`, or `-`.
  var dockerfileName: String {
    switch dockerfile {
    case .automatic: "Dockerfile"
    case .path(let path): path
    case .bytes: "-"
    }
  }

  /// Build arguments with client values filled in; one that the client does not have stays without a value.
  var resolvedArguments: [LoweringOptions.BuildArg] {
    let epoch = "SOURCE_DATE_EPOCH"
    let given = buildArguments.map { LoweringOptions.BuildArg($0.name, $0.value ?? clientValue($0.name)) }
    if let sourceDateEpoch { return given + [.init(epoch, String(sourceDateEpoch))] }
    // As buildx and buildah: the client's variable counts as given.
    guard !given.contains(where: { $0.name == epoch }), let value = clientValue(epoch) else { return given }
    return given + [.init(epoch, value)]
  }

  private func clientValue(_ name: String) -> String? {
    environment.last { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
  }
}
