public import Core
internal import FileTree
internal import Linux
public import Registry
internal import Store
internal import Synchronization

/// Where blobs are sent: a repository of a registry, or a directory. The calls block, and come from several threads.
public protocol BlobDestination: Sendable {
  /// Sees to it that the blob is there: sent, unless it is already, or can be had from one of `repositories` nearby.
  func push(_ blob: Descriptor, mountFrom repositories: [String], open: @escaping BlobSource) throws -> BlobPushOutcome
}

/// A repository of a registry.
struct RepositoryDestination: BlobDestination {
  let client: RegistryClient
  let reference: ImageReference

  func push(_ blob: Descriptor, mountFrom repositories: [String], open: @escaping BlobSource) throws -> BlobPushOutcome
  {
    try client.push(blob, to: reference, mountFrom: repositories, open: open)
  }
}

/// Sends layers of the store in the form that is wanted: several at a time, of which one is compressed, since that
/// takes all processors. What is there needs no bytes where its digest is known.
struct LayerSender: Sendable {
  let forms: LayerForms
  let progress: @Sendable (TransferEvent) -> Void
  private let uploads = TaskLimit(ImagePull.width)
  private let compressions = TaskLimit(1)

  init(_ forms: LayerForms, progress: @escaping @Sendable (TransferEvent) -> Void) {
    self.forms = forms
    self.progress = progress
  }

  /// Runs `body`, which blocks, when it is its turn among the transfers.
  func transfer<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await uploads.run {
      try Task.checkCancellation()
      return try await BlockingPool.shared.run(body)
    }
  }

  /// Sees to it that `destination` has the layer; returns what it has. `stored` is what its image's manifest says of
  /// it.
  func send(
    _ diffID: Digest, _ stored: Descriptor, to destination: any BlobDestination, _ sources: MountSources
  ) async throws -> Descriptor {
    let known = try await BlockingPool.shared.run { try forms.known(diffID, stored) }
    let blob: LayerForms.Blob
    if let known {
      blob = known
    } else {
      progress(.blob(id: diffID.short, .compressing))
      blob = try await compressions.run {
        try Task.checkCancellation()
        return try await BlockingPool.shared.run { try forms.make(diffID) }
      }
    }
    return try await transfer {
      try send(blob, diffID, destination, sources.repositories(of: blob.descriptor.digest))
      return blob.descriptor
    }
  }

  /// Sends the built layer `diffID`, of which no manifest says anything yet.
  func send(built diffID: Digest, to destination: any BlobDestination, _ sources: MountSources) async throws
    -> Descriptor
  {
    let stored = try await BlockingPool.shared.run { [store = forms.store] in
      Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: try store.layer(diffID)?.size ?? 0)
    }
    return try await send(diffID, stored, to: destination, sources)
  }

  private func send(
    _ blob: LayerForms.Blob, _ diffID: Digest, _ destination: any BlobDestination, _ repositories: [String]
  ) throws {
    let (id, total) = (diffID.short, blob.descriptor.size)
    let file = Mutex(blob.file)
    let outcome = try destination.push(blob.descriptor, mountFrom: Array(repositories.prefix(3))) {
      [progress, forms] offset in
      let open = try file.withLock { file in
        if let file { return file }
        // Its digest was remembered, its bytes were not.
        progress(.blob(id: id, .compressing))
        guard let made = try forms.make(diffID).file else {
          throw Failure("compress layer \(id)", "nothing came of it")
        }
        file = made
        return made
      }
      var meter = TransferMeter(done: offset, total: total)
      progress(.blob(id: id, .pushing(done: offset, total: total)))
      let source = FileSource(open, offset: offset, length: total - offset)
      return { buffer in
        let count = try source.read(into: buffer)
        if count > 0, meter.add(count) { progress(.blob(id: id, .pushing(done: meter.done, total: total))) }
        return count
      }
    }
    switch outcome {
    case .existed: progress(.blob(id: id, .layerExists))
    case .mounted(let repository): progress(.blob(id: id, .mounted(from: repository)))
    case .uploaded: progress(.blob(id: id, .pushed))
    }
  }
}
