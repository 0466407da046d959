public import Core
internal import FileTree
internal import Linux
public import Registry
public import Store
internal import Synchronization

/// Sends images of the store to a registry.
///
/// The caller holds a lease of the store. Blobs go in parallel, children before parents; what the registry has is not
/// sent, and nothing is compressed whose compressed form is known.
public struct ImagePush: Sendable {
  private let store: Store
  private let client: RegistryClient
  private let forms: LayerForms
  private let progress: @Sendable (TransferEvent) -> Void
  private let uploads = TaskLimit(ImagePull.width)
  /// One layer is compressed at a time: it takes all processors.
  private let compressions = TaskLimit(1)

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
    forms = LayerForms(store: store, compression: wanted, level: level, isForced: isForced)
    self.progress = progress
  }

  /// What the registry has now.
  public struct Pushed: Sendable {
    /// Of the manifest.
    public var descriptor: Descriptor
  }

  /// Sends `image` to the repository of `reference` and gives it the reference's tag there, or none.
  public func push(_ image: StoredImage, to reference: ImageReference, isTagged: Bool = true) async throws -> Pushed {
    do {
      let sources = try await BlockingPool.shared.run { try MountSources(store, registry: reference.registry, forms) }
      for diffID in unique(image.config.diffIDs) { progress(.blob(id: diffID.short, .preparing)) }
      var descriptors = [Digest: Descriptor]()
      try await withThrowingTaskGroup(of: (Digest, Descriptor).self) { group in
        for (diffID, stored) in zip(image.config.diffIDs, image.manifest.layers) where descriptors[diffID] == nil {
          descriptors[diffID] = stored
          group.addTask { (diffID, try await layer(diffID, stored, to: reference, sources)) }
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
    let stored = try await BlockingPool.shared.run {
      Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: try store.layer(diffID)?.size ?? 0)
    }
    _ = try await layer(diffID, stored, to: reference, MountSources())
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
    try await uploads.run {
      try await BlockingPool.shared.run {
        let file = try store.openBlob(descriptor.digest)
        _ = try client.push(descriptor, to: reference, mountFrom: []) { offset in
          let source = FileSource(file, offset: offset)
          return { try source.read(into: $0) }
        }
        return descriptor
      }
    }
  }

  /// Sees to it that the registry has the layer; returns what it has.
  private func layer(
    _ diffID: Digest, _ stored: Descriptor, to reference: ImageReference, _ sources: MountSources
  ) async throws -> Descriptor {
    let known = try await BlockingPool.shared.run { try forms.known(diffID, stored) }
    let blob: LayerForms.Blob
    if let known {
      blob = known
    } else {
      progress(.blob(id: diffID.short, .compressing))
      blob = try await compressions.run {
        try Task.checkCancellation()
        return try await BlockingPool.shared.run { try forms.make(diffID) }
      }
    }
    return try await uploads.run {
      try Task.checkCancellation()
      return try await BlockingPool.shared.run {
        try send(
          blob, diffID, reference, sources.repositories(of: blob.descriptor.digest, except: reference.repository))
        return blob.descriptor
      }
    }
  }

  /// Sends the blob if the registry does not have it, here or in one of `repositories`.
  private func send(
    _ blob: LayerForms.Blob, _ diffID: Digest, _ reference: ImageReference, _ repositories: [String]
  ) throws {
    let (id, total) = (diffID.short, blob.descriptor.size)
    let file = Mutex(blob.file)
    let outcome = try client.push(blob.descriptor, to: reference, mountFrom: Array(repositories.prefix(3))) {
      [progress, forms] offset in
      let open = try file.withLock { file in
        if let file { return file }
        // Its digest was remembered, its bytes were not.
        progress(.blob(id: id, .compressing))
        guard let made = try forms.make(diffID).file else {
          throw Failure("compress layer \(id)", "nothing came of it")
        }
        file = made
        return made
      }
      var meter = TransferMeter(done: offset, total: total)
      progress(.blob(id: id, .pushing(done: offset, total: total)))
      let source = FileSource(open, offset: offset, length: total - offset)
      return { buffer in
        let count = try source.read(into: buffer)
        if count > 0, meter.add(count) { progress(.blob(id: id, .pushing(done: meter.done, total: total))) }
        return count
      }
    }
    switch outcome {
    case .existed: progress(.blob(id: id, .layerExists))
    case .mounted(let repository): progress(.blob(id: id, .mounted(from: repository)))
    case .uploaded: progress(.blob(id: id, .pushed))
    }
  }
}

/// Which repositories of a registry have which blobs, as far as the store's images tell.
private struct MountSources: Sendable {
  private var repositories: [Digest: [String]] = [:]

  /// None.
  init() {}

  init(_ store: Store, registry: String, _ forms: LayerForms) throws {
    for image in try store.images() {
      for text in image.repoDigests {
        guard let reference = try? ImageReference(text), reference.registry == registry else { continue }
        for (diffID, layer) in zip(image.config.diffIDs, image.manifest.layers) {
          // What was built is there as it was sent, not as it is stored.
          for digest in Set([layer.digest, try forms.known(diffID, layer)?.descriptor.digest ?? layer.digest]) {
            repositories[digest, default: []].append(reference.repository)
          }
        }
      }
    }
  }

  func repositories(of blob: Digest, except own: String) -> [String] {
    var seen: Set<String> = [own]
    return repositories[blob, default: []].filter { seen.insert($0).inserted }
  }
}
