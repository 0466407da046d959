public import Core
internal import Linux
public import Registry
public import Store

/// Brings images from their registry into the store.
///
/// The caller holds a lease of the store. Blobs come in parallel, the largest first; each is verified and unpacked
/// while it streams. Nothing is seen of an image until all of it is there.
public struct ImagePull: Sendable {
  let store: Store
  let client: RegistryClient
  let progress: @Sendable (TransferEvent) -> Void
  private let limit: TaskLimit

  /// How many blobs come at a time: what registries are used to.
  public static let width = 4

  public init(store: Store, client: RegistryClient, progress: @escaping @Sendable (TransferEvent) -> Void) {
    self.store = store
    self.client = client
    self.progress = progress
    limit = TaskLimit(ImagePull.width)
  }

  /// What a pull brought.
  public struct Pulled: Sendable {
    public var image: StoredImage
    /// Of the manifest or index that the reference names.
    public var digest: Digest
    /// False if the store had it all.
    public var isNew: Bool
  }

  /// Pulls the image of `platform` that `reference` names, and gives it that name.
  ///
  /// An index is looked through for the platform; where `isExact`, an image without an index must be of it too. What
  /// the store has is neither fetched nor asked for.
  public func pull(_ reference: ImageReference, platform: Platform, isExact: Bool = false) async throws -> Pulled {
    let named = try await BlockingPool.shared.run { try client.resolve(reference) }
    let canonical = "\(reference.registry)/\(reference.repository)@\(named.digest)"
    if let image = try await BlockingPool.shared.run({ try known(canonical, reference, platform) }) {
      return Pulled(image: image, digest: named.digest, isNew: false)
    }
    let (descriptor, bytes) = try await manifest(reference, named.digest, platform)
    let image = try await pull(
      descriptor, bytes, reference, platform: isExact ? platform : nil,
      tags: reference.tag == nil ? [] : [reference.withoutDigest], repoDigests: [canonical])
    return Pulled(image: image, digest: named.digest, isNew: true)
  }

  /// The image that was pulled as `canonical` before, if it is of `platform`; it gets the reference's tag.
  private func known(_ canonical: String, _ reference: ImageReference, _ platform: Platform) throws -> StoredImage? {
    guard let image = try? store.resolve(canonical), platform.distance(of: image.config.platform) != nil else {
      return nil
    }
    if reference.tag != nil { try store.tag(reference.withoutDigest, image.id) }
    return try store.image(image.id)
  }

  /// The image's manifest: the one that `digest` names, or the one for `platform` of the index that it names.
  func manifest(_ reference: ImageReference, _ digest: Digest, _ platform: Platform) async throws
    -> (Descriptor, [UInt8])
  {
    var digest = digest
    for _ in 0..<4 {
      let wanted = reference.with(digest: digest)
      let found = try await BlockingPool.shared.run { try client.manifest(wanted) }
      do {
        switch try PulledManifest(found.bytes, mediaType: found.descriptor.mediaType) {
        case .image: return (found.descriptor, found.bytes)
        case .index(let index): digest = try index.image(for: platform).digest
        }
      } catch let failure as Failure {
        throw failure.during("pull \(reference.familiar)")
      }
    }
    throw Failure("pull \(reference.familiar)", "its indexes are nested too deep")
  }

  /// Pulls the image of the manifest `bytes`; it must be of `platform`, if that is given.
  func pull(
    _ descriptor: Descriptor, _ bytes: [UInt8], _ reference: ImageReference, platform: Platform?,
    tags: [ImageReference], repoDigests: [String]
  ) async throws -> StoredImage {
    do {
      let manifest = try ImageManifest(json: JSON.parse(bytes))
      guard [MediaType.ociConfig, MediaType.dockerConfig].contains(manifest.config.mediaType) else {
        throw Failure("", "it is an artifact of type \(manifest.config.mediaType), not an image")
      }
      let configBytes = try await document(manifest.config, reference)
      let config = try ImageConfig(json: JSON.parse(configBytes))
      guard config.diffIDs.count == manifest.layers.count else {
        throw Failure("", "the config lists \(config.diffIDs.count) layers, the manifest \(manifest.layers.count)")
      }
      if let platform, platform.distance(of: config.platform) == nil {
        throw Failure("", "it is an image for \(config.platform), not for \(platform)")
      }
      try await layers(zip(manifest.layers, config.diffIDs).map { ($0, $1) }, reference)
      return try await BlockingPool.shared.run {
        try store.putImage(
          config: configBytes, manifest: manifest, manifestBytes: bytes, tags: tags, repoDigests: repoDigests)
      }
    } catch let failure as Failure {
      throw failure.during("pull \(reference.familiar)")
    }
  }

  /// A document of the image, its config.
  private func document(_ descriptor: Descriptor, _ reference: ImageReference) async throws -> [UInt8] {
    try await BlockingPool.shared.run {
      if let there = try? store.readSmallBlob(descriptor.digest) { return there }
      guard descriptor.size <= ImageArchive.maximumDocument else {
        throw Failure("read blob \(descriptor.digest)", "it is larger than \(ImageArchive.maximumDocument) bytes")
      }
      var bytes: [UInt8] = []
      try client.blob(descriptor, of: reference) { bytes += $0 }
      guard Digest.sha256(bytes) == descriptor.digest else {
        throw Failure("read blob \(descriptor.digest)", "the content does not match: it is \(Digest.sha256(bytes))")
      }
      return bytes
    }
  }

  /// Brings the layers in, the largest first; they are told of in the manifest's order.
  private func layers(_ all: [(blob: Descriptor, diffID: Digest)], _ reference: ImageReference) async throws {
    var seen: Set<Digest> = []
    let once = all.filter { seen.insert($0.blob.digest).inserted }
    var missing: [(blob: Descriptor, diffID: Digest)] = []
    for (blob, diffID) in once {
      guard !blob.mediaType.contains("encrypted") else {
        throw Failure.notSupportedYet("encrypted layer \(blob.digest)")
      }
      let isThere = try await BlockingPool.shared.run { try store.useLayer(diffID, as: blob.digest) }
      progress(.blob(id: blob.digest.short, isThere ? .alreadyExists : .found))
      if !isThere { missing.append((blob, diffID)) }
    }
    missing.sort { $0.blob.size > $1.blob.size }
    for (blob, _) in missing.dropFirst(ImagePull.width) { progress(.blob(id: blob.digest.short, .waiting)) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (blob, diffID) in missing {
        group.addTask {
          try await limit.run {
            try Task.checkCancellation()
            try await BlockingPool.shared.run { try fetch(blob, diffID, reference) }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func fetch(_ blob: Descriptor, _ diffID: Digest, _ reference: ImageReference) throws {
    let id = blob.digest.short
    try store.fetchLayer(blob, diffID: diffID, waiting: { progress(.blob(id: id, .shared)) }) { offset, push in
      var meter = TransferMeter(done: offset, total: blob.size)
      progress(.blob(id: id, .downloading(done: offset, total: blob.size)))
      try client.blob(blob, of: reference, from: offset) { bytes in
        try push(bytes)
        if meter.add(bytes.count) { progress(.blob(id: id, .downloading(done: meter.done, total: blob.size))) }
      }
      progress(.blob(id: id, .downloaded))
    }
    progress(.blob(id: id, .pulled))
  }
}

/// Counts bytes, and says when it is time to tell of them: at every hundredth part, and at the end.
struct TransferMeter {
  private(set) var done: Int64
  private let total: Int64
  private var told: Int64

  init(done: Int64 = 0, total: Int64) {
    (self.done, self.total, told) = (done, total, done)
  }

  /// Whether the count after `bytes` more should be told.
  mutating func add(_ bytes: Int) -> Bool {
    done += Int64(bytes)
    guard done - told >= max(total / 100, 65536) || done == total else { return false }
    told = done
    return true
  }
}
