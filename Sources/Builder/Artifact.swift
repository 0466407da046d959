public import Core
internal import Registry

/// Something that lies in a registry beside images: an attestation, a signature, a bill of materials (OCI image-spec
/// 1.1, manifest.md, Guidelines for Artifact Usage). With a subject it is among that one's referrers.
public struct Artifact: Sendable, Equatable {
  /// What it is, a media type: `application/vnd.in-toto+json`.
  public var artifactType: String
  /// nil for the empty config.
  public var config: Content?
  public var layers: [Content]
  public var annotations: [String: String]
  /// The manifest that it is about.
  public var subject: Descriptor?

  public init(
    artifactType: String, config: Content? = nil, layers: [Content] = [], annotations: [String: String] = [:],
    subject: Descriptor? = nil
  ) {
    self.artifactType = artifactType
    self.config = config
    self.layers = layers
    self.annotations = annotations
    self.subject = subject
  }

  /// One of its blobs, in memory.
  public struct Content: Sendable, Equatable {
    public var mediaType: String
    public var bytes: [UInt8]
    public var annotations: [String: String]

    public init(mediaType: String, bytes: [UInt8], annotations: [String: String] = [:]) {
      self.mediaType = mediaType
      self.bytes = bytes
      self.annotations = annotations
    }

    /// What stands where there is nothing to say.
    public static let empty = Content(mediaType: "application/vnd.oci.empty.v1+json", bytes: Array("{}".utf8))

    var descriptor: Descriptor {
      Descriptor(
        mediaType: mediaType, digest: .sha256(bytes), size: Int64(bytes.count), annotations: annotations)
    }
  }

  /// All its blobs, config first.
  var contents: [Content] { [config ?? .empty] + (layers.isEmpty ? [.empty] : layers) }

  /// The manifest's bytes. Where there are no layers it has the empty one, as the specification wants it.
  public var manifest: [UInt8] {
    JSON.members([
      "schemaVersion": 2, "mediaType": .string(MediaType.ociManifest), "artifactType": .string(artifactType),
      "config": contents[0].descriptor.json, "layers": .array(contents.dropFirst().map(\.descriptor.json)),
      "subject": subject?.json,
      "annotations": annotations.isEmpty ? nil : .object(annotations.mapValues { .string($0) }),
    ]).bytes
  }

  /// The manifest's place in its repository.
  public var descriptor: Descriptor {
    let bytes = manifest
    return Descriptor(
      mediaType: MediaType.ociManifest, digest: .sha256(bytes), size: Int64(bytes.count), annotations: annotations,
      artifactType: artifactType)
  }
}
