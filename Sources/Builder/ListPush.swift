public import Core
internal import FileTree
internal import Linux
public import Registry
public import Store

/// Sends a list of manifests to a registry: the manifests first, then the index.
///
/// The caller holds a lease of the store.
public struct ListPush: Sendable {
  private let store: Store
  private let client: RegistryClient
  private let images: ImagePush
  private let progress: @Sendable (TransferEvent) -> Void

  /// `images` sends those of the store, compressed as it was told.
  public init(
    store: Store, client: RegistryClient, images: ImagePush, progress: @escaping @Sendable (TransferEvent) -> Void
  ) {
    self.store = store
    self.client = client
    self.images = images
    self.progress = progress
  }

  /// Sends `list` to the repository of `reference` and gives it the reference's tag there; returns what the registry
  /// has under it now. An index that a registry gave goes back byte for byte if its images do.
  public func push(_ list: ManifestList, to reference: ImageReference) async throws -> Descriptor {
    guard !list.entries.isEmpty else {
      throw Failure("push \(reference.familiar)", "the list \(list.name.familiar) is empty")
    }
    var index = list.index
    for (number, entry) in list.entries.enumerated() {
      let sent = try await send(entry, to: reference)
      index.manifests[number].mediaType = sent.mediaType
      index.manifests[number].digest = sent.digest
      index.manifests[number].size = sent.size
    }
    return try await BlockingPool.shared.run { [index] in
      let document = index == list.index ? list.document : nil
      let bytes = try document.map { try store.readSmallBlob($0.digest) } ?? index.json.bytes
      return try client.putManifest(bytes, mediaType: index.mediaType, to: reference.withoutDigest)
    }
  }

  /// Sees to it that the registry has the entry's manifest; returns what it has.
  private func send(_ entry: ManifestList.Entry, to reference: ImageReference) async throws -> Descriptor {
    let manifest = entry.descriptor
    switch entry.place {
    case .store(let id?):
      let image = try await BlockingPool.shared.run { try stored(id, manifest) }
      let sent = try await images.push(image, to: reference, isTagged: false).descriptor
      tell(sent, reference)
      return sent
    case .store(nil):
      try await BlockingPool.shared.run { try documents(manifest, to: reference) }
    case .registry(let source):
      let copy = RemoteCopy(store: store, client: client, progress: progress)
      try await BlockingPool.shared.run { try copy.copy(manifest, from: source, to: reference) }
    }
    tell(manifest, reference)
    return manifest
  }

  private func tell(_ manifest: Descriptor, _ reference: ImageReference) {
    let name = reference.with(digest: manifest.digest).familiarRepository + "@" + manifest.digest.text
    progress(.line("Pushed ref \(name) with digest: \(manifest.digest)"))
  }

  /// The image with the manifest that the list names, which need not be the one that the image has by now.
  private func stored(_ id: Digest, _ manifest: Descriptor) throws -> StoredImage {
    guard var image = try store.image(id) ?? rowless(id, manifest) else {
      throw Failure("push image \(id.short)", "it is not in the store any more")
    }
    if image.manifestDigest != manifest.digest {
      image.manifest = try ImageManifest(json: JSON.parse(store.readSmallBlob(manifest.digest)))
      image.manifestDigest = manifest.digest
    }
    return image
  }

  /// An image that was removed by force: the list has kept its parts.
  private func rowless(_ id: Digest, _ manifest: Descriptor) throws -> StoredImage? {
    guard let config = try? store.imageConfig(id) else { return nil }
    let document = try ImageManifest(json: JSON.parse(store.readSmallBlob(manifest.digest)))
    return StoredImage(id: id, config: config, manifest: document, manifestDigest: manifest.digest, size: 0)
  }

  /// Sends a manifest that is no image's: an attestation.
  private func documents(_ manifest: Descriptor, to reference: ImageReference) throws {
    let bytes = try store.readSmallBlob(manifest.digest)
    let document = try ImageManifest(json: JSON.parse(bytes))
    for blob in [document.config] + document.layers {
      let file = try store.openBlob(blob.digest)
      _ = try client.push(blob, to: reference) { offset in
        let rest = FileSource(file, offset: offset)
        return { try rest.read(into: $0) }
      }
    }
    let name = try reference.repositoryName.with(digest: manifest.digest)
    _ = try client.putManifest(bytes, mediaType: manifest.mediaType, to: name)
  }
}
