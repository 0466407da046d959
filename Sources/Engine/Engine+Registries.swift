public import Core
internal import Builder
internal import Linux
internal import Registry
internal import Store

extension Engine {
  /// Brings the image `name` in from its registry; tells `progress` what happens.
  public func pull(
    _ name: String, platform: String? = nil, allPlatforms: Bool = false, _ options: RegistryOptions,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) async throws -> PullOutcome {
    let wanted = try platform.map { try Platform($0) }
    let first = try ImageReference(name)
    return try await leasing { store in
      let access = try RegistryAccess(options, for: first.registry)
      let pull = ImagePull(store: store, client: access.client, progress: progress)
      let (reference, pulled) = try await access.first(of: name) { reference in
        progress(.line("\(reference.tag ?? reference.digest?.text ?? ""): Pulling from \(reference.repository)"))
        if allPlatforms { return try await pull.pullAll(reference) }
        return try await pull.pull(reference, platform: wanted ?? .current, isExact: wanted != nil)
      }
      return PullOutcome(
        name: reference.canonical, familiar: reference.familiar, digest: pulled.digest, imageID: pulled.image.id,
        isNew: pulled.isNew)
    }
  }

  /// All tags of the repository `name`.
  public func remoteTags(of name: String, _ options: RegistryOptions) async throws -> [String] {
    let reference = try ImageReference(name)
    return try await BlockingPool.shared.run {
      try RegistryAccess(options, for: reference.registry).client.tags(of: reference)
    }
  }

  /// Sends the image `name` to the registry that its name names; tells `progress` what happens.
  public func push(
    _ name: String, _ push: PushOptions, _ options: RegistryOptions,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) async throws -> PushOutcome {
    let reference = try ImageReference(name)
    guard reference.digest == nil else { throw Failure("push \(name)", "cannot push a digest reference") }
    return try await leasing { store in
      let (image, list) = try await BlockingPool.shared.run {
        try Engine.image(toPush: reference, push.platform, store)
      }
      let client = try RegistryAccess(options, for: reference.registry).client
      if let list {
        let pushed = try await Engine.listPush(store, push, client, progress).push(list, to: reference)
        return PushOutcome(tag: reference.tag ?? "latest", digest: pushed.digest, size: pushed.size)
      }
      let transfer = try ImagePush(
        store: store, client: client, compression: push.compression, level: push.level, isForced: push.isForced,
        progress: progress)
      let pushed = try await transfer.push(image, to: reference)
      return PushOutcome(
        tag: reference.tag ?? "latest", digest: pushed.descriptor.digest, size: pushed.descriptor.size)
    }
  }

  /// The local tags of the repository `name`, sorted.
  public func localTags(of name: String) async throws -> [String] {
    let reference = try ImageReference(name)
    return try await withStore { store in
      let names = try store.images().flatMap(\.repoTags).filter {
        $0.registry == reference.registry && $0.repository == reference.repository
      }
      return names.compactMap(\.tag).sorted()
    }
  }

  /// The image of that name; and the list, where the name stands for several images and no platform is asked for.
  private static func image(toPush reference: ImageReference, _ platform: String?, _ store: Store) throws
    -> (image: StoredImage, list: ManifestList?)
  {
    let wanted = try platform.map { try Platform($0) }
    do {
      if let wanted {
        if let image = try store.resolve(reference.canonical, platform: wanted) { return (image, nil) }
        throw Failure("push \(reference.familiar)", "there is no local image for \(wanted)")
      }
      let image = try store.resolve(reference.canonical)
      let list = try store.list(reference)
      return (image, list.flatMap { $0.kind == .image && $0.images.contains(image.id) ? $0 : nil })
    } catch let failure as Failure where failure.kind == .notFound {
      throw Failure(
        "", "An image does not exist locally with the tag: \(reference.familiarRepository)",
        hint: "\"stave images\" lists what there is; \"stave tag IMAGE \(reference.familiar)\" gives an image that name"
      )
    }
  }

  /// Runs `body` while nothing it makes or uses is collected.
  func leasing<T: Sendable>(_ body: (Store) async throws -> T) async throws -> T {
    let store = try await openStore()
    let lease = try await BlockingPool.shared.run { try store.lease() }
    defer { lease.release() }
    return try await body(store)
  }
}
