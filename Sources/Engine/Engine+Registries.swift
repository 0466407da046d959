public import Core
internal import Builder
internal import Linux
internal import Registry
internal import Store

extension Engine {
  /// Brings the image `name` in from its registry; tells `progress` what happens.
  public func pull(
    _ name: String, platform: String? = nil, _ options: RegistryOptions,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) async throws -> PullOutcome {
    let reference = try ImageReference(name)
    let wanted = try platform.map { try Platform($0) }
    return try await leasing { store in
      let client = try options.client()
      progress(.line("\(reference.tag ?? reference.digest?.text ?? ""): Pulling from \(reference.repository)"))
      let pulled = try await ImagePull(store: store, client: client, progress: progress)
        .pull(reference, platform: wanted ?? .current, isExact: wanted != nil)
      return PullOutcome(
        name: reference.canonical, familiar: reference.familiar, digest: pulled.digest, imageID: pulled.image.id,
        isNew: pulled.isNew)
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
