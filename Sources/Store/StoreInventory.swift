internal import Core
internal import Linux

/// What a collection looks at: a value, so that plans are made and tested without a disk.
struct StoreInventory: Sendable, Equatable {
  /// An image with a row in the database.
  struct Image: Sendable, Equatable {
    var id: Digest
    /// As users write them, tags first.
    var names: [String]
    var created: Timestamp?
    var labels: [String: String]
    var contents: Contents
    /// When it was last looked up by a command with a lease.
    var lastUsed: Timestamp
  }

  /// The layers and blobs that hang on an image or a container.
  struct Contents: Sendable, Equatable {
    var layers: [Digest] = []
    /// Config, manifest, layers as they came; not the tars, which `layers` says.
    var blobs: [Digest] = []
  }

  /// A list of manifests.
  struct List: Sendable, Equatable {
    var name: ImageReference
    /// Whether it goes when no container uses its images, as they do.
    var isOfImage: Bool
    var images: [Digest]
    var contents: Contents
  }

  /// A step record.
  struct Record: Sendable, Equatable {
    var key: Digest
    var definitionKey: Digest
    var title: String
    /// What the step made, or nil for a step that changes no file.
    var layer: Digest?
    /// The whole result.
    var stack: [Digest]
    /// Bytes of the record's own files: pre-image, log.
    var size: Int64
    /// What the step took, nanoseconds.
    var cost: Int64
    var started: Timestamp
    /// When a build last made or found it.
    var lastUsed: Timestamp
  }

  /// A layer or a blob.
  struct Object: Sendable, Equatable {
    var digest: Digest
    var size: Int64
    /// When it was last stored.
    var lastUsed: Timestamp
  }

  /// Sorted by ID.
  var images: [Image] = []
  /// The images that containers use, sorted.
  var usedImages: [Digest] = []
  /// Sorted by name.
  var lists: [List] = []
  /// What containers need, and images that were removed while a command with a lease used them.
  var pinned = Contents()
  /// Sorted by key.
  var records: [Record] = []
  /// Sorted.
  var layers: [Object] = []
  /// Blobs that are no layer's tar, sorted.
  var blobs: [Object] = []
  /// When the oldest lease that is held began, or nil if there is none.
  var oldestLease: Timestamp?

  /// Whether what was last used at `time` may be used by a command that still runs.
  func isLeased(_ time: Timestamp) -> Bool { oldestLease.map { time >= $0 } ?? false }
}

extension Store {
  /// Reads what a collection looks at. Under the exclusive gate the result is true until that is released, if the
  /// images are those of the database: `index.json` may be of a command that was killed.
  ///
  /// What is damaged tells what it still can. What the system refuses to show ends the look: nothing is known of it.
  func inventory(_ rows: [StateDatabase.Row]) throws -> StoreInventory {
    var out = StoreInventory()
    out.oldestLease = try PresenceLock.oldest(paths.lease)
    out.images = try rows.map { try inventory($0) }
    out.usedImages = Set(try containerIDs().compactMap { try containerImage($0) }).sorted()
    for id in out.usedImages {
      out.pinned.blobs.append(id)
      if let config = try Store.unlessDamaged({ try imageConfig(id) }) { out.pinned.layers += config.diffIDs }
    }
    out.lists = try lists().map {
      StoreInventory.List(name: $0.name, isOfImage: $0.isOfImage, images: $0.images, contents: contents(of: $0))
    }
    out.layers = try layerIDs().map { diffID in
      let status = try HostPath.status(paths.tar(diffID)) ?? HostPath.status(paths.layer(diffID))
      return StoreInventory.Object(
        digest: diffID, size: try estimatedSize(ofLayer: diffID, status),
        lastUsed: status?.mtime ?? Timestamp(seconds: 0))
    }
    let tars = Set(out.layers.map(\.digest))
    out.blobs = try blobDigests().filter { !tars.contains($0) }.compactMap { digest in
      try HostPath.status(paths.blob(digest)).map {
        StoreInventory.Object(digest: digest, size: $0.size, lastUsed: $0.mtime)
      }
    }
    try pinRemovedImages(&out)
    out.records = try steps().map { try inventory($0) }.sorted { $0.key < $1.key }
    return out
  }

  /// What `body` reads, nil where that is missing or damaged. Throws what the system refuses: files that can't be
  /// opened now may be whole.
  static func unlessDamaged<T>(_ body: () throws -> T) throws -> T? {
    do {
      return try body()
    } catch is Failure {
      return nil
    }
  }

  private func inventory(_ row: StateDatabase.Row) throws -> StoreInventory.Image {
    var image = StoreInventory.Image(
      id: row.id, names: (row.tags + row.repoDigests).map { (try? ImageReference($0))?.familiar ?? $0 }, labels: [:],
      contents: StoreInventory.Contents(blobs: [row.id, row.manifest.digest]),
      lastUsed: try HostPath.status(paths.blob(row.id))?.mtime ?? Timestamp(seconds: 0))
    // An image whose documents are damaged keeps what can still be told of it.
    if let config = try Store.unlessDamaged({ try imageConfig(row.id) }) {
      image.created = config.created
      image.labels = config.config.labels
      image.contents.layers = config.diffIDs
    }
    let manifest = try Store.unlessDamaged {
      try ImageManifest(json: JSON.parse(readSmallBlob(row.manifest.digest)))
    }
    if let manifest {
      image.contents.blobs += manifest.layers.map(\.digest)
    }
    return image
  }

  private func inventory(_ record: StepRecord) throws -> StoreInventory.Record {
    let files = try [paths.step(record.key), paths.log(record.key)].map { try HostPath.status($0) }
    return StoreInventory.Record(
      key: record.key, definitionKey: record.definitionKey, title: record.title, layer: record.resultDiffID,
      stack: record.stack.isEmpty ? record.resultDiffID.map { [$0] } ?? [] : record.stack.map(\.diffID),
      size: files.reduce(0) { $0 + ($1?.allocated ?? 0) },
      cost: record.durations.values.reduce(0) { $0.addingReportingOverflow($1).partialValue },
      started: record.started, lastUsed: files[0]?.mtime ?? record.started)
  }

  /// An image that lost its row while a command with a lease uses it: its documents were marked, and lead to the rest.
  private func pinRemovedImages(_ inventory: inout StoreInventory) throws {
    guard inventory.oldestLease != nil else { return }
    let known = Set(inventory.images.flatMap(\.contents.blobs))
    for blob in inventory.blobs
    where blob.size < 4 << 20 && inventory.isLeased(blob.lastUsed) && !known.contains(blob.digest) {
      guard let json = try Store.unlessDamaged({ try JSON.parse(readSmallBlob(blob.digest)) }) else { continue }
      if let config = try? ImageConfig(json: json) { inventory.pinned.layers += config.diffIDs }
      if let manifest = try? ImageManifest(json: json) { inventory.pinned.blobs += manifest.layers.map(\.digest) }
    }
  }

  /// Bytes of the layer's files, without a walk: a tree takes about as much as the tar that it came from.
  private func estimatedSize(ofLayer diffID: Digest, _ tar: FileStatus?) throws -> Int64 {
    var size = tar?.size ?? 0
    for name in try Directory(paths.layer(diffID)).entries() where name != Array("tar".utf8) {
      let status = try HostPath.status("\(paths.layer(diffID))/\(String(decoding: name, as: UTF8.self))", follow: false)
      size += status?.kind == .directory ? tar?.size ?? 0 : status?.allocated ?? 0
    }
    return size
  }
}
