public import Core
internal import Linux
internal import Registry
public import Store

/// Images for other platforms than this machine's.
extension ImagePull {
  /// Pulls the image of `platform` that `reference` names, and leaves that name to the image that has it: a build for
  /// other platforms must not change what `run` means.
  public func pullBeside(_ reference: ImageReference, platform: Platform) async throws -> Pulled {
    let named = try await BlockingPool.shared.run { try client.resolve(reference) }
    let (descriptor, bytes) = try await manifest(reference, named.digest, platform)
    let canonical = "\(reference.registry)/\(reference.repository)@\(descriptor.digest)"
    let known = await BlockingPool.shared.run { try? store.resolve(canonical) }
    let image = try await pull(descriptor, bytes, reference, platform: nil, tags: [], repoDigests: [canonical])
    if reference.digest == nil {
      try await BlockingPool.shared.run { try store.note(image, besideNamed: reference, descriptor) }
    }
    return Pulled(image: image, digest: descriptor.digest, isNew: known == nil)
  }

  /// Pulls all that the index `reference` names, so that a push sends the same index again. The image for this machine
  /// gets the name, or the first one. What is no index is pulled as `pull` does.
  public func pullAll(_ reference: ImageReference) async throws -> Pulled {
    let named = try await BlockingPool.shared.run { try client.resolve(reference) }
    let document = try await BlockingPool.shared.run { try client.manifest(reference.with(digest: named.digest)) }
    guard case .index(let index) = try PulledManifest(document.bytes, mediaType: document.descriptor.mediaType) else {
      return try await pull(reference, platform: .current)
    }
    guard !index.manifests.contains(where: { PulledManifest.isIndex($0.mediaType) }) else {
      throw Failure.notSupportedYet("pull \(reference.familiar) --all-platforms: an index of indexes")
    }
    let repository = "\(reference.registry)/\(reference.repository)"
    let before = try await BlockingPool.shared.run { try store.list(reference.withoutDigest)?.document }
    var entries: [ManifestList.Entry] = []
    var images: [StoredImage] = []
    for descriptor in index.manifests {
      let found = try await BlockingPool.shared.run { try client.manifest(descriptor, of: reference) }
      if index.images.contains(descriptor) {
        progress(.line("\(descriptor.platform?.description ?? descriptor.digest.short): Pulling image"))
        let image = try await pull(
          found.descriptor, found.bytes, reference, platform: nil, tags: [],
          repoDigests: ["\(repository)@\(descriptor.digest)"])
        images.append(image)
        entries.append(.init(descriptor, .store(image: image.id)))
      } else {
        try await documents(found.bytes, reference)
        entries.append(.init(descriptor, .store(image: nil)))
      }
    }
    return try await BlockingPool.shared.run { [entries, images] in
      guard let own = ImagePull.best(images) else {
        throw Failure("pull \(reference.familiar)", "its index has no image")
      }
      try store.putBlob(document.bytes)
      try store.note(repoDigest: "\(repository)@\(named.digest)", of: own.id)
      if reference.tag != nil {
        let name = reference.withoutDigest
        try store.tag(name, own.id)
        let list = ManifestList(
          name: name, entries: entries, annotations: index.annotations, kind: .image, document: document.descriptor)
        try store.changeList(name) { $0 = list }
      }
      guard let image = try store.image(own.id) else { throw Failure("pull \(reference.familiar)", "it is gone again") }
      return Pulled(image: image, digest: named.digest, isNew: before?.digest != named.digest)
    }
  }

  /// The image that does best on this machine, else the first.
  public static func best(_ images: [StoredImage]) -> StoredImage? {
    let ranked = images.compactMap { image in
      Platform.current.distance(of: image.config.platform).map { (image: image, distance: $0) }
    }
    return ranked.min { $0.distance < $1.distance }?.image ?? images.first
  }

  /// Stores a manifest that is no image's, and its blobs: an attestation.
  private func documents(_ bytes: [UInt8], _ reference: ImageReference) async throws {
    let manifest = try ImageManifest(json: JSON.parse(bytes))
    try await BlockingPool.shared.run {
      for blob in [manifest.config] + manifest.layers where try !store.hasBlob(blob.digest) {
        let writer = try store.blobWriter()
        try client.blob(blob, of: reference) { try writer.write($0) }
        _ = try writer.finish(expected: blob.digest)
      }
      try store.putBlob(bytes)
    }
  }
}
