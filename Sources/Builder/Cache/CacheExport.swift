public import Core
internal import FileTree
public import Graph
internal import Linux
public import Store
internal import Synchronization

/// Writes a build's steps to a cache that other machines can use.
///
/// Layers are sent as soon as they are known, beside the steps that still run; the index follows when the build is
/// done. What the destination has is not sent, and what it holds is changed all at once, by the manifest.
public final class CacheExport: Sendable {
  /// Which steps.
  public enum Mode: String, Sendable, CaseIterable {
    /// Those whose layers are in the image.
    case min
    /// All that the build used or made.
    case max
  }

  /// How layers are packed.
  public struct Packing: Sendable {
    /// `gzip`, `zstd`, `uncompressed`; nil for layers as they are, new ones with gzip.
    public var compression: String?
    public var level: Int?
    /// Whether compressed layers are compressed anew.
    public var isForced: Bool

    public init(compression: String? = nil, level: Int? = nil, isForced: Bool = false) {
      self.compression = compression
      self.level = level
      self.isForced = isForced
    }
  }

  private let store: Store
  private let destination: any CacheDestination
  private let mode: Mode
  private let sender: LayerSender
  private let imports: CacheImport?
  private let layers = Mutex<[Digest: Task<Descriptor, any Error>]>([:])

  /// The most bytes of one pre-image that goes with its record, and of all of them.
  private static let preimageLimit = 32 << 10
  private static let preimagesLimit = 2 << 20

  /// The caller holds a lease of the store until the export is over. `imports` are the caches that the build uses.
  public init(
    to destination: any CacheDestination, mode: Mode, packing: Packing, store: Store, imports: CacheImport?
  ) throws {
    let compression = try packing.compression.map { text in
      guard let compression = Compression(rawValue: text == "uncompressed" ? "none" : text) else {
        throw Failure("export cache", "unknown compression \(text)")
      }
      return compression
    }
    self.store = store
    self.destination = destination
    self.mode = mode
    self.imports = imports
    sender = LayerSender(
      LayerForms(store: store, compression: compression, level: packing.level, isForced: packing.isForced)
    ) { _ in }
  }

  /// `exporting cache to registry ci.example/app:cache`.
  public var title: String { "exporting cache to \(destination.kind) \(destination.name)" }

  /// The step `vertex` was executed: begins to send its layer if it is one of those that will be exported.
  public func layerMade(_ vertex: VertexID, _ diffID: Digest, in plans: [BuildPlan]) {
    guard CacheExport.isExported(vertex, mode, plans) else { return }
    _ = task(diffID, MountSources())
  }

  /// Ends the export of a build that failed.
  public func cancel() async {
    let tasks = layers.withLock { Array($0.values) }
    for task in tasks { task.cancel() }
    for task in tasks { _ = await task.result }
  }

  /// Sends what is missing, then the index; `log` is told what happens, a line each.
  public func finish(_ plans: [BuildPlan], _ definitions: StepDefinitions, log: @escaping @Sendable (String) -> Void)
    async throws
  {
    do {
      let records = try await CacheExport.records(plans, definitions, mode, store, imports)
      guard !records.isEmpty else { return log("no steps to export") }
      var blobs: [Digest: Descriptor] = [:]
      // Base images come from where they are.
      let own = CacheExport.ownLayers(records)
      let sources = try await mountSources()
      let tasks = own.map { ($0, task($0, sources)) }
      for (diffID, task) in tasks {
        blobs[diffID] = try await withTaskCancellationHandler {
          try await task.value
        } onCancel: {
          for (_, task) in tasks { task.cancel() }
        }
        log("layer \(diffID.short) is there")
      }
      try await publish(records, blobs, log)
    } catch {
      await cancel()
      throw error
    }
  }

  private func publish(
    _ records: [StepRecord], _ blobs: [Digest: Descriptor], _ log: @escaping @Sendable (String) -> Void
  ) async throws {
    try await BlockingPool.shared.run { [self] in
      let index = CacheIndex(records, blobs: blobs, preimages: try preimages(records))
      let (bytes, mediaType) = try index.packed()
      guard bytes.count <= CacheIndex.mostPacked else {
        throw Failure("write cache index", "it would have more than \(CacheIndex.mostPacked >> 20) MiB")
      }
      let config = Descriptor(mediaType: mediaType, digest: .sha256(bytes), size: Int64(bytes.count))
      _ = try destination.push(config, mountFrom: []) { offset in
        let source = MemorySource(Array(bytes.dropFirst(Int(clamping: offset))))
        return { try source.read(into: $0) }
      }
      log("writing cache index \(config.digest) of \(index.steps.count) steps, \(index.blobs.count) layers")
      let manifest = CacheManifest.bytes(index, config: config)
      try destination.publish(manifest)
      log("writing cache manifest \(Digest.sha256(manifest))")
    }
  }

  /// The pre-images that are small enough, in the order of the records.
  private func preimages(_ records: [StepRecord]) throws -> [Digest: JSON] {
    var out: [Digest: JSON] = [:]
    var room = CacheExport.preimagesLimit
    for record in records {
      guard let preimage = try store.preimage(ofStep: record.key), preimage != .null else { continue }
      let size = preimage.bytes.count
      guard size <= CacheExport.preimageLimit, size <= room else { continue }
      room -= size
      out[record.key] = preimage
    }
    return out
  }

  // MARK: Layers

  /// What other repositories of the destination's registry have: of images that were pushed, and of the caches used.
  private func mountSources() async throws -> MountSources {
    guard let repository = destination.repository else { return MountSources() }
    var sources = try await BlockingPool.shared.run { [store, sender] in
      try MountSources(store, for: repository, sender.forms)
    }
    for (source, blobs) in try await imports?.repositories() ?? [] where source.registry == repository.registry {
      sources.add(blobs, in: source.repository)
    }
    return sources
  }

  /// The task that brings the layer to the destination, begun by the first call.
  private func task(_ diffID: Digest, _ sources: MountSources) -> Task<Descriptor, any Error> {
    layers.withLock { tasks in
      if let task = tasks[diffID] { return task }
      let task = Task { try await send(diffID, sources) }
      tasks[diffID] = task
      return task
    }
  }

  /// Sees to it that the destination has the layer; returns what it has.
  private func send(_ diffID: Digest, _ sources: MountSources) async throws -> Descriptor {
    if try await BlockingPool.shared.run({ [store] in try store.layer(diffID) }) == nil {
      // One of a step that was not looked at, since a later one was known.
      guard let origin = try await imports?.origin(of: diffID) else {
        throw Failure("export layer \(diffID.short)", "it was removed meanwhile")
      }
      let (destination, store) = (destination, store)
      return try await sender.transfer {
        let repositories = sources.repositories(of: origin.blob.digest)
        _ = try destination.push(origin.blob, mountFrom: repositories) { offset in
          try origin.fetch()
          let source = FileSource(try store.openBlob(origin.blob.digest), offset: offset)
          return { try source.read(into: $0) }
        }
        return origin.blob
      }
    }
    return try await sender.send(built: diffID, to: destination, sources)
  }
}
