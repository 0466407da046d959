public import Core
internal import FileTree
internal import Linux
public import Registry

/// Where a build cache is written to. The calls block, and come from several threads.
public protocol CacheDestination: BlobDestination {
  /// As people are told.
  var name: String { get }
  /// `registry`, `local`.
  var kind: String { get }
  /// In which repository it is, nil outside registries.
  var repository: ImageReference? { get }
  /// Makes what was sent the cache, all at once, in the place of the one before.
  func publish(_ manifest: [UInt8]) throws
}

extension RegistryCache: CacheDestination {
  public var kind: String { "registry" }
  public var repository: ImageReference? { reference }

  public func push(_ blob: Descriptor, mountFrom repositories: [String], open: @escaping BlobSource) throws
    -> BlobPushOutcome
  {
    try client.push(blob, to: reference, mountFrom: repositories, open: open)
  }

  public func publish(_ manifest: [UInt8]) throws {
    try client.putManifest(manifest, mediaType: MediaType.ociManifest, to: reference)
  }
}

extension DirectoryCache: CacheDestination {
  public var kind: String { "local" }
  public var repository: ImageReference? { nil }

  public func push(_ blob: Descriptor, mountFrom repositories: [String], open: @escaping BlobSource) throws
    -> BlobPushOutcome
  {
    let file = try blobPath(blob.digest)
    if try HostPath.status(file)?.size == blob.size { return .existed }
    let read = try open(0)
    try HostPath.makeDirectories("\(path)/blobs/sha256")
    try place(file) { target in try ClosureSource(read).copy(to: target) }
    return .uploaded
  }

  public func publish(_ manifest: [UInt8]) throws {
    let descriptor = Descriptor(
      mediaType: MediaType.ociManifest, digest: .sha256(manifest), size: Int64(manifest.count),
      annotations: [DirectoryCache.tagAnnotation: tag])
    _ = try push(descriptor, mountFrom: []) { _ in
      let source = MemorySource(manifest)
      return { try source.read(into: $0) }
    }
    let layout = "\(path)/oci-layout"
    if try HostPath.status(layout) == nil {
      try place(layout) { try $0.write(JSON.object(["imageLayoutVersion": "1.0.0"]).bytes) }
    }
    // Two builds may write to one directory.
    let lock = try FileLock.acquire("\(path)/.lock", .exclusive)
    defer { lock.release() }
    let before = try entries()?.manifests ?? []
    let others = before.filter { $0.annotations[DirectoryCache.tagAnnotation] != tag }
    let index = ImageIndex(manifests: others + [descriptor])
    try place("\(path)/index.json") { try $0.write(index.json.bytes) }
    removeUnused(before, now: index.manifests)
  }

  /// Removes the blobs of the cache that was replaced, as far as no manifest that is left names them. What can't be
  /// understood stays: the directory may hold more than ours.
  private func removeUnused(_ before: [Descriptor], now: [Descriptor]) {
    var used: Set<Digest> = []
    for entry in now {
      guard let blobs = blobs(of: entry) else { return }
      used.formUnion(blobs)
    }
    for entry in before where !used.contains(entry.digest) {
      for blob in blobs(of: entry) ?? [] where !used.contains(blob) {
        if let path = try? blobPath(blob) { try? HostPath.removeFile(path) }
      }
    }
  }

  /// The manifest's digest and those of its blobs; nil if it is none that we know.
  private func blobs(of entry: Descriptor) -> [Digest]? {
    guard let bytes = try? HostPath.read(blobPath(entry.digest), limit: 4 << 20), let json = try? JSON.parse(bytes),
      let manifest = try? ImageManifest(json: json)
    else { return nil }
    return [entry.digest, manifest.config.digest] + manifest.layers.map(\.digest)
  }

  /// Writes the file `target`, whole or not at all.
  private func place(_ target: String, _ write: (OpenFile) throws -> Void) throws {
    let temporary = "\(target).\(Machine.processID).\(Machine.monotonicNanoseconds()).tmp"
    do {
      try write(OpenFile(temporary, .create))
      try HostPath.rename(temporary, to: target)
    } catch {
      try? HostPath.removeFile(temporary)
      throw error
    }
  }
}
