public import Core
public import Registry

/// Artifacts on their way to and from a registry. Calls block.
extension Artifact {
  /// The most bytes that are read of one blob: BuildKit's limit of an attestation.
  public static let contentLimit: Int64 = 40 << 20

  /// Sends the artifact to the repository of `reference`: under its tag, or by digest alone where that is nil. Where
  /// the registry keeps no list of referrers, the one under the subject's own tag is brought up to date.
  @discardableResult
  public func push(to reference: ImageReference, tag: String? = nil, _ client: RegistryClient) throws -> Descriptor {
    for content in contents {
      let bytes = content.bytes
      _ = try client.push(content.descriptor, to: reference) { offset in
        var rest = bytes[min(Int(offset), bytes.count)...]
        return { buffer in
          let part = rest.prefix(buffer.count)
          buffer.copyBytes(from: part)
          rest = rest.dropFirst(part.count)
          return part.count
        }
      }
    }
    let digest = descriptor.digest
    let repository = "\(reference.registry)/\(reference.repository)"
    let name = try ImageReference(tag.map { "\(repository):\($0)" } ?? "\(repository)@\(digest)")
    _ = try client.putManifest(manifest, mediaType: MediaType.ociManifest, to: name)
    return descriptor
  }

  /// The artifacts about the manifest `subject` in the repository of `reference`, of `type` or of all types, as their
  /// registry lists them.
  public static func referrers(
    of subject: Digest, in reference: ImageReference, type: String? = nil, _ client: RegistryClient
  ) throws -> [Descriptor] {
    try client.referrers(of: subject, in: reference, artifactType: type).map { referrer in
      var descriptor = referrer.descriptor
      descriptor.artifactType = referrer.artifactType
      return descriptor
    }
  }

  /// Gets the artifact `descriptor` with its blobs from the repository of `reference`. Throws if a blob has more than
  /// `contentLimit` bytes.
  public init(_ descriptor: Descriptor, of reference: ImageReference, _ client: RegistryClient) throws {
    let found = try client.manifest(descriptor, of: reference)
    let json = try JSON.parse(found.bytes)
    let manifest = try ImageManifest(json: json)
    func content(_ blob: Descriptor) throws -> Content {
      let what = "get blob \(blob.digest.short) of \(reference)"
      guard blob.size <= Artifact.contentLimit else {
        throw Failure(what, "it has more than \(Artifact.contentLimit >> 20) MiB")
      }
      var bytes: [UInt8] = []
      try client.blob(blob, of: reference) { bytes += $0 }
      guard Digest.sha256(bytes) == blob.digest else { throw Failure(what, "the content does not match") }
      return Content(mediaType: blob.mediaType, bytes: bytes, annotations: blob.annotations)
    }
    let config = try content(manifest.config)
    let layers = try manifest.layers.map(content)
    self.init(
      artifactType: json["artifactType"]?.string ?? manifest.config.mediaType, config: config == .empty ? nil : config,
      layers: layers == [.empty] ? [] : layers, annotations: manifest.annotations,
      subject: try json["subject"].map { try Descriptor(json: $0) })
  }
}
