public import Core
internal import FileTree
internal import Linux
public import Registry
public import Store

/// Sends images of the store to a registry.
///
/// The caller holds a lease of the store. Blobs go in parallel, children before parents; what the registry has is not
/// sent, and nothing is compressed whose compressed form is known.
public struct ImagePush: Sendable {
  private let store: Store
  private let client: RegistryClient
  private let sender: LayerSender

  /// `compression` is `none`, `gzip` or `zstd`; nil leaves compressed layers as they are and takes gzip for the others.
  /// `level` is 0 ... 9 for gzip, 1 ... 19 for zstd. `isForced` compresses compressed layers anew.
  public init(
    store: Store, client: RegistryClient, compression: String? = nil, level: Int? = nil, isForced: Bool = false,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) throws {
    let wanted = try compression.map { text in
      guard let compression = Compression(rawValue: text == "uncompressed" ? "none" : text) else {
        throw Failure(
          "push", "unknown compression \(text)" + didYouMean(text, in: Compression.allCases.map(\.rawValue)),
          exitCode: 125)
      }
      return compression
    }
    self.store = store
    self.client = client
    sender = LayerSender(
      LayerForms(store: store, compression: wanted, level: level, isForced: isForced), progress: progress)
  }

  /// What the registry has now.
  public struct Pushed: Sendable {
    /// Of the manifest.
    public var descriptor: Descriptor
  }

  /// Sends `image` to the repository of `reference` and gives it the reference's tag there, or none.
  public func push(_ image: StoredImage, to reference: ImageReference, isTagged: Bool = true) async throws -> Pushed {
    do {
      let sources = try await BlockingPool.shared.run { try MountSources(store, for: reference, sender.forms) }
      let destination = RepositoryDestination(client: client, reference: reference)
      for diffID in unique(image.config.diffIDs) { sender.progress(.blob(id: diffID.short, .preparing)) }
      var descriptors = [Digest: Descriptor]()
      try await withThrowingTaskGroup(of: (Digest, Descriptor).self) { group in
        for (diffID, stored) in zip(image.config.diffIDs, image.manifest.layers) where descriptors[diffID] == nil {
          descriptors[diffID] = stored
          group.addTask { (diffID, try await sender.send(diffID, stored, to: destination, sources)) }
        }
        let config = image.manifest.config
        group.addTask { (image.id, try await document(config, to: reference)) }
        for try await (digest, descriptor) in group { descriptors[digest] = descriptor }
      }
      return try await finish(image, descriptors, reference, isTagged)
    } catch let failure as Failure {
      throw failure.during("push \(reference.familiar)")
    }
  }

  /// Sends the built layer `diffID` before its image is there.
  func sendEarly(_ diffID: Digest, to reference: ImageReference) async throws {
    _ = try await sender.send(
      built: diffID, to: RepositoryDestination(client: client, reference: reference), MountSources())
  }

  private func unique(_ digests: [Digest]) -> [Digest] {
    var seen: Set<Digest> = []
    return digests.filter { seen.insert($0).inserted }
  }

  /// Sends the manifest: the image's own, byte for byte, if its layers went as they are.
  private func finish(
    _ image: StoredImage, _ layers: [Digest: Descriptor], _ reference: ImageReference, _ isTagged: Bool
  ) async throws -> Pushed {
    var manifest = image.manifest
    for (number, diffID) in image.config.diffIDs.enumerated() {
      guard var sent = layers[diffID] else { continue }
      let stored = manifest.layers[number]
      if sent.digest == stored.digest { continue }
      sent.annotations = stored.annotations
      sent.mediaType = ImagePush.mediaType(sent.mediaType, in: manifest.mediaType)
      manifest.layers[number] = sent
    }
    return try await BlockingPool.shared.run { [manifest] in
      let bytes =
        manifest == image.manifest ? try store.readSmallBlob(image.manifestDigest) : manifest.json.bytes
      let digest = Digest.sha256(bytes)
      try client.putManifest(
        bytes, mediaType: manifest.mediaType, to: isTagged ? reference : reference.with(digest: digest))
      // An image that was removed by force has no row to note it in.
      if try isTagged || store.image(image.id) != nil {
        try store.note(repoDigest: "\(reference.registry)/\(reference.repository)@\(digest)", of: image.id)
      }
      return Pushed(
        descriptor: Descriptor(mediaType: manifest.mediaType, digest: digest, size: Int64(bytes.count)))
    }
  }

  /// The media type of a layer in a manifest of type `manifest`: Docker's own has its own for gzip.
  private static func mediaType(_ layer: String, in manifest: String) -> String {
    guard manifest == MediaType.dockerManifest else { return layer }
    return layer == MediaType.ociLayerGzip ? MediaType.dockerLayerGzip : layer
  }

  private func document(_ descriptor: Descriptor, to reference: ImageReference) async throws -> Descriptor {
    try await sender.transfer {
      let file = try store.openBlob(descriptor.digest)
      _ = try client.push(descriptor, to: reference, mountFrom: []) { offset in
        let source = FileSource(file, offset: offset)
        return { try source.read(into: $0) }
      }
      return descriptor
    }
  }
}
