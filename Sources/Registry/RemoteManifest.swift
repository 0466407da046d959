public import Core

/// The bytes of a manifest or an index as a registry has them, and what they are.
public struct RemoteManifest: Sendable, Equatable {
  /// Media type, digest and size of `bytes`.
  public var descriptor: Descriptor
  public var bytes: [UInt8]

  public init(descriptor: Descriptor, bytes: [UInt8]) {
    self.descriptor = descriptor
    self.bytes = bytes
  }

  /// Whether it is a list of manifests.
  public var isIndex: Bool {
    descriptor.mediaType == MediaType.ociIndex || descriptor.mediaType == MediaType.dockerList
  }
}
