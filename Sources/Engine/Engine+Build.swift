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
    let sources = try await reporter.internalStep("load build definition from \(request.dockerfileName)") {
      try await BlockingPool.shared.run { try BuildSources(request) }
    }
    let plan = try await lower(sources, request, BaseImages(store, request, reporter))
    for warning in plan.warnings { reporter.warning(warning) }
    if request.rewritesTimestamps, plan.sourceDateEpoch == nil {
      reporter.warning(Diagnostic(.warning, "--rewrite-timestamp does nothing without --source-date-epoch"))
    }
    // As Docker: neither a file nor a setting would be in the image.
    guard !plan.history.isEmpty || plan.vertices.contains(where: { $0.op != .scratch }) else {
      throw Failure("", "No image was generated. Is your Dockerfile empty?")
    }

    let context = try await BlockingPool.shared.run { try sources.openContext(store) }
    let push = try await BlockingPool.shared.run { try BuildPush(request, tags, plan, store, reporter) }
    let executor = try StepExecutor(
      store: store, plan: plan, context: context, source: sources.document, reporter: reporter,
      layerMade: { push?.layers.layerMade($0, $1) })
    let solver = Solver(executor, parallelism: request.jobs ?? max(2, Machine.processorCount)) { reporter.report($0) }
    let built: Result<StoredImage, any Error>
    do {
      let layers = try await solve(solver, plan).packed()
      built = .success(
        try await reporter.export {
          let image = try await BlockingPool.shared.run {
            try ImageAssembly(store: store, plan: plan).write(layers, tags: tags)
          }
          reporter.message("writing image \(image.id.text)")
          for tag in tags { reporter.message("naming to \(tag.canonical)") }
          return image
        })
    } catch {
      built = .failure(error)
    }
    await executor.finish()
    // Also of a build that failed: the next one is likely to be of the same files.
    await BlockingPool.shared.run { context.saveIndex() }
    let written = try await pushed(built, push)
    if let path = request.idFile { try HostPath.write(Array(written.id.text.utf8), to: path) }
    let counts = reporter.counts
    return BuildOutcome(
      imageID: written.id, tags: tags.map(\.familiar), executedSteps: counts.executed, cachedSteps: counts.cached)
  }

  /// The image that was built, after its push where there is one.
  private func pushed(_ built: Result<StoredImage, any Error>, _ push: BuildPush?) async throws -> StoredImage {
    guard let push else { return try built.get() }
    switch built {
    case .success(let image): try await push.finish(image)
    case .failure: await push.layers.settle(cancelling: true)
    }
    return try built.get()
  }

  /// The text form of the build graph: `build --print=graph`. Nothing is executed.
  public func graph(_ request: BuildRequest) async throws -> String {
    try checkSupport(request)
    let store = try await openStore()
    let sources = try await BlockingPool.shared.run { try BuildSources(request) }
    return try await lower(sources, request, BaseImages(store, request, ProgressReporter { _ in })).text
  }

  private func solve(_ solver: Solver<StepExecutor>, _ plan: BuildPlan) async throws -> LayerStack {
    do {
      return try await solver.solve(plan)
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
    if let platform = request.platform {
      let wanted = try Platform(platform)
      guard wanted == .current else {
        throw Failure.notSupportedYet("build --platform \(platform)", hint: "this machine builds \(Platform.current)")
      }
    }
  }

  /// Lowers, resolving base images until none is missing.
  private func lower(_ sources: BuildSources, _ request: BuildRequest, _ bases: BaseImages) async throws -> BuildPlan {
    var options = LoweringOptions()
    options.target = request.target
    options.buildArgs = request.resolvedArguments
    options.labels = request.labels.map { LoweringOptions.BuildArg($0.name, $0.value) }
    options.network = Op.Network(rawValue: request.network) ?? .default
    options.noCache = request.noCache
    options.rewritesTimestamps = request.rewritesTimestamps
    options.addHosts = request.addHosts
    while true {
      switch try Graph.lower(sources.document, options) {
      case .plan(let plan): return plan
      case .needsImages(let wanted):
        try await withThrowingTaskGroup(of: (ImageKey, ResolvedImage).self) { group in
          for image in wanted { group.addTask { (image.key, try await bases.resolve(image)) } }
          for try await (key, image) in group { options.images[key] = image }
        }
      }
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
