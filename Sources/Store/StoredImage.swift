public import Core

/// An image of the store: its documents, and the names that point to it.
public struct StoredImage: Sendable, Hashable {
  /// The digest of the config's bytes, which names the image.
  public var id: Digest
  public var config: ImageConfig
  public var manifest: ImageManifest
  /// The digest of the manifest's bytes in the store.
  public var manifestDigest: Digest
  /// The sum of the uncompressed layers, bytes.
  public var size: Int64
  /// The names with tags, sorted; none for a dangling image.
  public var repoTags: [ImageReference]
  /// `name@sha256:...` of the registries the image came from or went to, sorted.
  public var repoDigests: [String]

  public init(
    id: Digest, config: ImageConfig, manifest: ImageManifest, manifestDigest: Digest, size: Int64,
    repoTags: [ImageReference] = [], repoDigests: [String] = []
  ) {
    self.id = id
    self.config = config
    self.manifest = manifest
    self.manifestDigest = manifestDigest
    self.size = size
    self.repoTags = repoTags
    self.repoDigests = repoDigests
  }

  /// When the image says it was made, or nil if it does not say.
  public var created: Timestamp? { config.created }

  /// Whether no name points to the image.
  public var isDangling: Bool { repoTags.isEmpty && repoDigests.isEmpty }
}

/// A layer of the store: a tar, uncompressed, named by its digest.
public struct Layer: Sendable, Hashable {
  public var diffID: Digest
  /// Bytes of the tar.
  public var size: Int64

  public init(diffID: Digest, size: Int64) {
    self.diffID = diffID
    self.size = size
  }
}

/// What became of `Store.removeImage`.
public struct ImageRemoval: Sendable, Equatable {
  /// Familiar names, `web:1`, in the order in which they were removed.
  public var untagged: [String]
  /// The image's ID if it is gone, then the diffIDs of layers that nothing else needs, topmost first.
  public var deleted: [Digest]

  public init(untagged: [String] = [], deleted: [Digest] = []) {
    self.untagged = untagged
    self.deleted = deleted
  }

  /// Docker's lines: `Untagged: web:1`, `Deleted: sha256:...`.
  public var lines: [String] { untagged.map { "Untagged: \($0)" } + deleted.map { "Deleted: \($0.text)" } }
}
