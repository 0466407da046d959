internal import Core
internal import Store

/// Which repositories of a registry have which blobs, as far as the store's images tell.
struct MountSources: Sendable {
  private var known: [Digest: [String]] = [:]

  /// None.
  init() {}

  /// What other repositories of the registry of `reference` have.
  init(_ store: Store, for reference: ImageReference, _ forms: LayerForms) throws {
    for image in try store.images() {
      for text in image.repoDigests {
        guard let source = try? ImageReference(text), source.registry == reference.registry,
          source.repository != reference.repository
        else { continue }
        for (diffID, layer) in zip(image.config.diffIDs, image.manifest.layers) {
          // What was built is there as it was sent, not as it is stored.
          for digest in Set([layer.digest, try forms.known(diffID, layer)?.descriptor.digest ?? layer.digest]) {
            known[digest, default: []].append(source.repository)
          }
        }
      }
    }
  }

  /// Notes that `repository` has the blobs.
  mutating func add(_ blobs: [Descriptor], in repository: String) {
    for blob in blobs { known[blob.digest, default: []].append(repository) }
  }

  /// The repositories that have the blob, each once.
  func repositories(of blob: Digest) -> [String] {
    var seen: Set<String> = []
    return known[blob, default: []].filter { seen.insert($0).inserted }
  }
}
