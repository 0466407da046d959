public import Core

/// One row of `images`.
public struct ImageSummary: Sendable {
  public var id: Digest
  /// `busybox`, or nil for an image without a name.
  public var repository: String?
  public var tag: String?
  /// The manifest's digest.
  public var digest: Digest?
  public var created: Timestamp?
  /// Bytes of all layers, uncompressed.
  public var size: Int64
  public var labels: [String: String]
  /// Containers made from it.
  public var containers: Int
}

/// One row of `history`, newest first.
public struct HistoryRow: Sendable {
  /// The image's ID on the newest row; nil below.
  public var id: Digest?
  public var created: Timestamp?
  public var createdBy: String
  /// Bytes of the layer, 0 for none.
  public var size: Int64
  public var comment: String
}

/// What removing or pruning images did, as Docker lists it.
public struct RemovedImages: Sendable {
  /// Names that were removed, familiar.
  public var untagged: [String] = []
  /// Images and layers that were deleted.
  public var deleted: [Digest] = []
  /// Bytes freed.
  public var reclaimed: Int64 = 0
  public init() {}
}

/// What `load` brought.
public enum LoadedImage: Sendable, Equatable {
  /// `Loaded image: busybox:latest`.
  case named(String)
  /// `Loaded image ID: sha256:...`.
  case unnamed(Digest)
}

/// The forms in which `save` writes images.
public enum ArchiveFormat: String, Sendable, CaseIterable {
  case dockerArchive = "docker-archive"
  case ociArchive = "oci-archive"
  case ociDirectory = "oci-dir"
}

/// Where an archive is read from or written to.
public enum ArchiveLocation: Sendable, Equatable {
  case path(String)
  /// Standard input or output.
  case standardStream
}
