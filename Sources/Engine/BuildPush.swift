internal import Builder
internal import Core
internal import Graph
internal import Store

/// The push of `build --push`: layers go while the build runs, the rest when it has ended.
struct BuildPush: Sendable {
  let layers: StreamingPush
  private let push: PushOptions
  private let registries: RegistryOptions
  private let references: [ImageReference]
  private let store: Store
  private let reporter: ProgressReporter

  /// nil where the request asks for none. `references` are the names of the image, at least one.
  init?(
    _ request: BuildRequest, _ references: [ImageReference], _ plans: [BuildPlan], _ store: Store,
    _ reporter: ProgressReporter
  ) throws {
    guard let push = request.push, let first = references.first else { return nil }
    self.push = push
    self.references = references
    self.store = store
    self.reporter = reporter
    registries = request.registries
    let early = try BuildPush.transfer(push, request.registries, first, store) { _ in }
    layers = StreamingPush(plans, store: store, push: early, to: first)
  }

  /// Sends the image, or the list of images, to each of its names; returns what the first one names now.
  func finish(_ built: BuildExport.Result) async throws -> Descriptor {
    await layers.settle(cancelling: false)
    var first: Descriptor?
    for reference in references {
      try await reporter.internalStep("push \(reference.canonical)") { log in
        let transfer = try BuildPush.transfer(push, registries, reference, store) { event in
          if let line = event.logLine { log(line) }
        }
        let sent: Descriptor
        if let list = built.list {
          let client = try RegistryAccess(registries, for: reference.registry).client
          sent = try await ListPush(store: store, client: client, images: transfer) { event in
            if let line = event.logLine { log(line) }
          }.push(list, to: reference)
        } else {
          sent = try await transfer.push(built.own, to: reference).descriptor
        }
        log("digest: \(sent.digest) size: \(sent.size)")
        first = first ?? sent
      }
    }
    return first ?? built.metadata.descriptor
  }

  private static func transfer(
    _ push: PushOptions, _ registries: RegistryOptions, _ reference: ImageReference, _ store: Store,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) throws -> ImagePush {
    try ImagePush(
      store: store, client: RegistryAccess(registries, for: reference.registry).client,
      compression: push.compression, level: push.level, isForced: push.isForced, progress: progress)
  }
}
