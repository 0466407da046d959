/// The media types of OCI image-spec 1.1 (media-types.md) and of Docker's image format.
public enum MediaType {
  public static let ociIndex = "application/vnd.oci.image.index.v1+json"
  public static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
  public static let ociConfig = "application/vnd.oci.image.config.v1+json"
  public static let ociLayer = "application/vnd.oci.image.layer.v1.tar"
  public static let ociLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
  public static let ociLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
  public static let dockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
  public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
  public static let dockerConfig = "application/vnd.docker.container.image.v1+json"
  public static let dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
}

/// A typed reference to a blob (OCI image-spec 1.1, descriptor.md).
public struct Descriptor: Hashable, Sendable {
  public var mediaType: String
  public var digest: Digest
  /// Bytes.
  public var size: Int64
  public var platform: Platform?
  public var annotations: [String: String]
  /// What the manifest that it points to is of, where that is an artifact.
  public var artifactType: String?

  public init(
    mediaType: String, digest: Digest, size: Int64, platform: Platform? = nil, annotations: [String: String] = [:],
    artifactType: String? = nil
  ) {
    self.mediaType = mediaType
    self.digest = digest
    self.size = size
    self.platform = platform
    self.annotations = annotations
    self.artifactType = artifactType
  }

  /// Reads a descriptor; throws a `Failure` that names the member at fault.
  public init(json: JSON) throws {
    let what = "read descriptor"
    guard json.object != nil else { throw Failure(what, "not an object") }
    mediaType = try json.required("mediaType", what)
    guard Descriptor.isMediaType(mediaType) else { throw Failure(what, "mediaType \"\(mediaType)\" is malformed") }
    digest = try Digest(try json.required("digest", what))
    guard let size = json["size"]?.int, size >= 0 else { throw Failure(what, "size is missing or no natural number") }
    self.size = size
    if let urls = json["urls"], urls.array?.allSatisfy({ $0.string.map(Descriptor.isURI) ?? false }) != true {
      throw Failure(what, "urls is not an array of URIs")
    }
    annotations = try json.stringMap("annotations", what)
    platform = try json["platform"].flatMap { $0.isNull ? nil : try Platform(json: $0) }
    artifactType = json["artifactType"]?.string
  }

  public var json: JSON {
    JSON.members([
      "mediaType": .string(mediaType), "digest": .string(digest.text), "size": .int(size),
      "annotations": annotations.isEmpty ? nil : .object(annotations.mapValues { .string($0) }),
      "platform": platform?.json, "artifactType": artifactType.map { .string($0) },
    ])
  }

  /// RFC 3986: a scheme, a colon, something behind it.
  private static func isURI(_ text: String) -> Bool {
    guard let colon = text.firstIndex(of: ":"), text.index(after: colon) < text.endIndex,
      let first = text.utf8.first, first | 32 >= 97, first | 32 <= 122
    else { return false }
    return text[..<colon].utf8.allSatisfy {
      ($0 >= 48 && $0 <= 57) || ($0 | 32 >= 97 && $0 | 32 <= 122) || "+-.".utf8.contains($0)
    }
  }

  /// RFC 6838: type/subtype, each of restricted-name characters.
  private static func isMediaType(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2
      && parts.allSatisfy { part in
        guard let first = part.utf8.first, part.utf8.count <= 127 else { return false }
        func isAlphanumeric(_ b: UInt8) -> Bool { (b >= 48 && b <= 57) || (b | 32 >= 97 && b | 32 <= 122) }
        return isAlphanumeric(first)
          && part.utf8.allSatisfy { isAlphanumeric($0) || "!#$&-^_.+".utf8.contains($0) }
      }
  }
}

/// An image of one platform: its config and layers, lowest first (OCI image-spec 1.1, manifest.md).
public struct ImageManifest: Hashable, Sendable {
  public var mediaType: String
  public var config: Descriptor
  public var layers: [Descriptor]
  public var annotations: [String: String]

  public init(
    mediaType: String = MediaType.ociManifest, config: Descriptor, layers: [Descriptor],
    annotations: [String: String] = [:]
  ) {
    self.mediaType = mediaType
    self.config = config
    self.layers = layers
    self.annotations = annotations
  }

  /// Reads a manifest of the OCI or Docker form; throws a `Failure` that names what is wrong.
  public init(json: JSON) throws {
    let what = "read manifest"
    guard json["schemaVersion"]?.int == 2 else { throw Failure(what, "schemaVersion is not 2") }
    mediaType = json["mediaType"]?.string ?? MediaType.ociManifest
    if let given = json["mediaType"], given.string != MediaType.ociManifest, given.string != MediaType.dockerManifest {
      throw Failure(what, "mediaType \(given.text) is not that of a manifest")
    }
    guard let config = json["config"] else { throw Failure(what, "config is missing") }
    self.config = try Descriptor(json: config)
    guard let layers = json["layers"]?.array else { throw Failure(what, "layers is missing or no array") }
    self.layers = try layers.map { try Descriptor(json: $0) }
    if let subject = json["subject"] { _ = try Descriptor(json: subject) }
    annotations = try json.stringMap("annotations", what)
  }

  public var json: JSON {
    JSON.members([
      "schemaVersion": 2, "mediaType": .string(mediaType), "config": config.json,
      "layers": .array(layers.map(\.json)),
      "annotations": annotations.isEmpty ? nil : .object(annotations.mapValues { .string($0) }),
    ])
  }
}

/// A list of manifests, one a platform (OCI image-spec 1.1, image-index.md).
public struct ImageIndex: Hashable, Sendable {
  public var mediaType: String
  public var manifests: [Descriptor]
  public var annotations: [String: String]

  public init(
    mediaType: String = MediaType.ociIndex, manifests: [Descriptor], annotations: [String: String] = [:]
  ) {
    self.mediaType = mediaType
    self.manifests = manifests
    self.annotations = annotations
  }

  /// Reads an index of the OCI or Docker form; throws a `Failure` that names what is wrong.
  public init(json: JSON) throws {
    let what = "read index"
    guard json["schemaVersion"]?.int == 2 else { throw Failure(what, "schemaVersion is not 2") }
    mediaType = json["mediaType"]?.string ?? MediaType.ociIndex
    if let given = json["mediaType"], given.string != MediaType.ociIndex, given.string != MediaType.dockerList {
      throw Failure(what, "mediaType \(given.text) is not that of an index")
    }
    guard let manifests = json["manifests"]?.array else { throw Failure(what, "manifests is missing or no array") }
    self.manifests = try manifests.map { try Descriptor(json: $0) }
    if let subject = json["subject"] { _ = try Descriptor(json: subject) }
    annotations = try json.stringMap("annotations", what)
  }

  public var json: JSON {
    JSON.members([
      "schemaVersion": 2, "mediaType": .string(mediaType), "manifests": .array(manifests.map(\.json)),
      "annotations": annotations.isEmpty ? nil : .object(annotations.mapValues { .string($0) }),
    ])
  }
}

extension JSON {
  /// The string member `key`; throws `what: key is missing or no string`.
  func required(_ key: String, _ what: String) throws -> String {
    guard let value = self[key]?.string else { throw Failure(what, "\(key) is missing or no string") }
    return value
  }

  /// The member `key` as a map of strings, empty when absent; throws when it is something else.
  func stringMap(_ key: String, _ what: String) throws -> [String: String] {
    guard let member = self[key], !member.isNull else { return [:] }
    guard let object = member.object else { throw Failure(what, "\(key) is no object") }
    return try object.mapValues { value in
      guard let text = value.string else { throw Failure(what, "\(key) holds a value that is no string") }
      return text
    }
  }

  /// The member `key` as an array of strings, nil when absent or null; throws when it is something else.
  func stringArray(_ key: String, _ what: String) throws -> [String]? {
    guard let member = self[key], !member.isNull else { return nil }
    guard let values = member.array else { throw Failure(what, "\(key) is no array") }
    return try values.map { value in
      guard let text = value.string else { throw Failure(what, "\(key) holds a value that is no string") }
      return text
    }
  }
}
