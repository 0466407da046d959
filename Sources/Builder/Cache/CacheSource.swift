public import Core
internal import FileTree
internal import Linux
public import Registry

/// Where a build cache is read from. The calls block.
public protocol CacheSource: Sendable {
  /// As people are told, `ci.example/app:cache`.
  var name: String { get }
  /// In which repository it is, nil outside registries.
  var repository: ImageReference? { get }
  /// The manifest or index that the source is, or the one in it with the digest.
  func manifest(_ digest: Digest?) throws -> (bytes: [UInt8], mediaType: String)
  /// Gives the blob's bytes from `offset` on to `sink`, in order. The digest is the caller's to check.
  func read(_ blob: Descriptor, from offset: Int64, into sink: (UnsafeRawBufferPointer) throws -> Void) throws
}

extension CacheSource {
  /// Gets the index: two requests. Of a list of images, those of the images of `platforms`.
  func indexes(_ platforms: [Platform]) throws -> [CacheIndex] {
    let found = try manifest(nil)
    guard [MediaType.ociIndex, MediaType.dockerList].contains(found.mediaType) else { return [try index(found.bytes)] }
    let entries = try ImageIndex(json: JSON.parse(found.bytes)).manifests.filter { entry in
      entry.platform.map { found in platforms.contains { $0.distance(of: found) != nil } } ?? false
    }
    if entries.isEmpty {
      throw Failure("", "it has no image for \(platforms.map(\.description).joined(separator: ", "))")
    }
    return try entries.map { try index(manifest($0.digest).bytes) }
  }

  private func index(_ manifest: [UInt8]) throws -> CacheIndex {
    return try CacheManifest.index(of: ImageManifest(json: JSON.parse(manifest))) { blob in
      var bytes: [UInt8] = []
      try read(blob, from: 0) { more in
        guard Int64(bytes.count + more.count) <= blob.size else {
          throw Failure("read blob \(blob.digest.short)", "it has more than its \(blob.size) bytes")
        }
        bytes += more
      }
      guard Digest.sha256(bytes) == blob.digest else {
        throw Failure("read blob \(blob.digest.short)", "the content does not match: it is \(Digest.sha256(bytes))")
      }
      return bytes
    }
  }
}

/// A build cache in a registry, or an image there with its cache inside.
public struct RegistryCache: CacheSource {
  let client: RegistryClient
  let reference: ImageReference

  public init(_ reference: ImageReference, _ client: RegistryClient) {
    self.client = client
    self.reference = reference
  }

  public var name: String { reference.familiar }

  public func manifest(_ digest: Digest?) throws -> (bytes: [UInt8], mediaType: String) {
    let wanted = try digest.map { try ImageReference("\(reference.registry)/\(reference.repository)@\($0)") }
    let found = try client.manifest(wanted ?? reference)
    return (found.bytes, found.descriptor.mediaType)
  }

  public func read(
    _ blob: Descriptor, from offset: Int64, into sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    try client.blob(blob, of: reference, from: offset, into: sink)
  }
}

/// A build cache in a directory: an OCI image layout.
public struct DirectoryCache: CacheSource {
  let path: String
  /// `org.opencontainers.image.ref.name` of the cache among what else the layout has.
  let tag: String

  public init(_ path: String, tag: String) {
    self.path = path
    self.tag = tag
  }

  public var name: String { path }

  static let tagAnnotation = "org.opencontainers.image.ref.name"

  func blobPath(_ digest: Digest) throws -> String {
    guard digest.algorithm == "sha256" else {
      throw Failure("read \(path)", "digests of algorithm \(digest.algorithm) are not supported yet")
    }
    return "\(path)/blobs/sha256/\(digest.encoded)"
  }

  /// What `index.json` lists; nil if the directory is none of a cache.
  func entries() throws -> ImageIndex? {
    let file = "\(path)/index.json"
    guard try HostPath.status(file) != nil else { return nil }
    return try ImageIndex(json: JSON.parse(HostPath.read(file, limit: 4 << 20)))
  }

  public func manifest(_ digest: Digest?) throws -> (bytes: [UInt8], mediaType: String) {
    guard let list = try entries()?.manifests else {
      throw Failure("", "no cache was written there: it has no index.json")
    }
    let entry =
      digest.map { digest in list.first { $0.digest == digest } }
      ?? list.first { $0.annotations[DirectoryCache.tagAnnotation] == tag }
    guard let entry else { throw Failure("", "its index.json names no \(digest?.text ?? tag)") }
    let bytes = try HostPath.read(blobPath(entry.digest), limit: 4 << 20)
    guard Digest.sha256(bytes) == entry.digest else {
      throw Failure("read blob \(entry.digest.short)", "the content does not match")
    }
    return (bytes, entry.mediaType)
  }

  public func read(
    _ blob: Descriptor, from offset: Int64, into sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let source = FileSource(try OpenFile(blobPath(blob.digest)), offset: offset)
    try withoutActuallyEscaping(sink) { sink in _ = try source.copy(to: ClosureSink(sink)) }
  }
}
