internal import Builder
internal import Core
internal import Graph
internal import Linux
internal import Store

/// Where a build's base images come from: the store, else their registries.
struct BaseImages: Sendable {
  private let store: Store
  private let policy: PullPolicy
  private let registries: RegistryOptions
  private let reporter: ProgressReporter

  init(_ store: Store, _ request: BuildRequest, _ reporter: ProgressReporter) {
    self.store = store
    policy = request.pull
    registries = request.registries
    self.reporter = reporter
  }

  /// The image that a FROM or `--from` names.
  func resolve(_ wanted: ImageRequest) async throws -> ResolvedImage {
    do {
      if policy != .always, let image = try await BlockingPool.shared.run({ try local(wanted) }) { return image }
      return try await pull(wanted)
    } catch var failure as Failure {
      failure.diagnostics = [wanted.diagnostic]
      if let near = nearest(wanted.key.reference, in: wanted.stageNames) {
        failure.hint = "did you mean the stage \(near)?"
      }
      throw failure
    }
  }

  /// The store's image; nil if it has none for the platform and may ask the registry.
  private func local(_ wanted: ImageRequest) throws -> ResolvedImage? {
    let (name, platform) = (wanted.key.reference, wanted.key.platform)
    do {
      if let image = try store.resolve(name, platform: platform) {
        return ResolvedImage(imageID: image.id, config: image.config)
      }
      if policy == .missing { return nil }
      throw Failure("resolve \(name)", "there is no local image for \(platform)")
    } catch var failure as Failure {
      if policy == .missing, failure.kind == .notFound { return nil }
      if failure.hint == nil { failure.hint = "build without --pull=never, or bring it in with \"stave pull \(name)\"" }
      throw failure
    }
  }

  private func pull(_ wanted: ImageRequest) async throws -> ResolvedImage {
    let reference = try ImageReference(wanted.key.reference)
    return try await reporter.internalStep("pull \(reference.canonical)") { log in
      let access = try RegistryAccess(registries, for: reference.registry)
      let pull = ImagePull(store: store, client: access.client) { event in
        if let line = event.logLine { log(line) }
      }
      let platform = wanted.key.platform
      let isForeign = Platform.current.distance(of: platform) == nil
      let (_, pulled) = try await access.first(of: wanted.key.reference) {
        isForeign ? try await pull.pullBeside($0, platform: platform) : try await pull.pull($0, platform: platform)
      }
      log("\(pulled.isNew ? "pulled" : "up to date:") \(pulled.digest.text)")
      return ResolvedImage(imageID: pulled.image.id, config: pulled.image.config)
    }
  }
}

extension TransferEvent {
  /// What is worth a line of a build's log: not the counting.
  var logLine: String? {
    switch self {
    case .line(let text): text
    case .blob(let id, let state):
      switch state {
      case .pulled: "\(id): pulled"
      case .alreadyExists: "\(id): already exists"
      case .shared: "\(id): waiting for another command that pulls it"
      case .pushed: "\(id): pushed"
      case .layerExists: "\(id): layer already exists"
      case .mounted(let repository): "\(id): mounted from \(repository)"
      default: nil
      }
    }
  }
}
