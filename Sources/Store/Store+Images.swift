public import Core
internal import Linux

extension Store {
  /// Adds the image of `config` and `manifest`, and gives it `tags`, taking them from the images that have them.
  ///
  /// Its layers and their blobs must be in the store: throws otherwise, or if the documents don't fit together.
  /// `manifestBytes` keeps a foreign manifest byte for byte; its `repoDigests` name it. An image that is there
  /// already keeps its manifest unless the new one has `repoDigests` (canonical, `docker.io/library/a@sha256:...`).
  /// Unless `keepsAnnotations`, it does not keep a manifest with other annotations.
  /// Nothing is written where nothing changes.
  @discardableResult
  public func putImage(
    config: [UInt8], manifest: ImageManifest, manifestBytes: [UInt8]? = nil, tags: [ImageReference] = [],
    repoDigests: [String] = [], keepsAnnotations: Bool = true
  ) throws -> StoredImage {
    let id = Digest.sha256(config)
    let what = "store image \(id.short)"
    guard manifest.config.digest == id, manifest.config.size == Int64(config.count) else {
      throw Failure(what, "the manifest names another config, \(manifest.config.digest)")
    }
    try dropImageLists(tags.map(\.withoutDigest), unlessOf: id)
    let names = Set(tags.map(\.withoutDigest.canonical))
    if let there = try findRow(id), names.isSubset(of: there.tags),
      Set(repoDigests).isSubset(of: there.repoDigests), let image = try? image(there),
      keepsAnnotations || image.manifest.annotations == manifest.annotations
    {
      return image
    }
    let parsed = try ImageConfig(json: JSON.parse(config))
    guard parsed.diffIDs.count == manifest.layers.count else {
      throw Failure(
        what, "the config lists \(parsed.diffIDs.count) layers, the manifest \(manifest.layers.count)")
    }
    let bytes = manifestBytes ?? manifest.json.bytes
    let row = StateDatabase.Row(
      id: id,
      manifest: Descriptor(mediaType: manifest.mediaType, digest: .sha256(bytes), size: Int64(bytes.count)),
      size: 0, tags: names.sorted(), repoDigests: repoDigests.sorted())
    return try sharing {
      // Until the row is there nothing keeps them but the gate, and afterwards nothing gives them back.
      let size = try useLayers(parsed.diffIDs, manifest.layers, what)
      try putBlobs([config, bytes])
      return try put(row, size: size, keepsManifest: repoDigests.isEmpty) {
        keepsAnnotations || $0 == manifest.annotations
      }
    }
  }

  /// Checks that the layers and their blobs are there and marks them as used; returns the bytes of the layers. Under
  /// the gate.
  private func useLayers(_ diffIDs: [Digest], _ blobs: [Descriptor], _ what: String) throws -> Int64 {
    try zip(diffIDs, blobs).reduce(0) { size, pair in
      let (diffID, blob) = (pair.0, pair.1.digest)
      guard let layer = try layer(diffID) else { throw Failure(what, "layer \(diffID) is not in the store") }
      guard try hasBlob(blob) else { throw Failure(what, "blob \(blob) is not in the store") }
      try markUsed(diffID, blob)
      return size + layer.size
    }
  }

  /// Adds the image's row to the database. With `keepsManifest` one that is there keeps its own, if that has
  /// annotations which `suits`.
  private func put(
    _ row: StateDatabase.Row, size: Int64, keepsManifest: Bool, suits: ([String: String]) -> Bool
  ) throws -> StoredImage {
    let stored = try database().change(self) { transaction in
      var row = row
      row.size = size
      if keepsManifest, let there = try transaction.rows().first(where: { $0.id == row.id }),
        let image = try? image(there), suits(image.manifest.annotations)
      {
        row.manifest = there.manifest
      }
      try transaction.put(row)
      return try transaction.rows().first { $0.id == row.id }
    }
    guard let stored else { throw Failure("store image \(row.id.short)", "it was removed meanwhile") }
    return try image(stored)
  }

  /// The image `id`, or nil if the store does not have it.
  public func image(_ id: Digest) throws -> StoredImage? {
    try using { try findRow(id) }
  }

  /// The image that `find` finds. While a lease is held, neither it nor its layers are collected from then on.
  private func using(_ find: () throws -> StateDatabase.Row?) throws -> StoredImage? {
    if leaseBegin == nil { return try find().map { try image($0) } }
    return try sharing {
      guard let row = try find() else { return nil }
      try markUsed(paths.blob(row.id))
      return try image(row)
    }
  }

  /// All images, newest first, then by ID. An image whose documents are damaged is left out: `check` tells of it.
  public func images() throws -> [StoredImage] {
    try readRows().compactMap { try? image($0) }.sorted { a, b in
      if a.created != b.created {
        guard let x = a.created else { return false }
        guard let y = b.created else { return true }
        return x > y
      }
      return a.id < b.id
    }
  }

  /// The config of `id` even where only a container still needs the image; throws if it is gone.
  public func imageConfig(_ id: Digest) throws -> ImageConfig {
    try ImageConfig(json: JSON.parse(readSmallBlob(id)))
  }

  /// Gives the image `id` the name `reference`, taking it from the image that has it.
  public func tag(_ reference: ImageReference, _ id: Digest) throws {
    guard reference.digest == nil else {
      throw Failure("tag \(reference)", "a name with a digest can't be given")
    }
    try dropImageLists([reference], unlessOf: id)
    let name = reference.canonical
    if try readRows().contains(where: { $0.id == id && $0.tags.contains(name) }) { return }
    try database().change(self) { transaction in
      guard try transaction.rows().contains(where: { $0.id == id }) else { throw noSuchImage(id.text, []) }
      try transaction.tag(name, id)
    }
  }

  /// Notes that a registry has the image: `name` is canonical, `docker.io/library/a@sha256:...`.
  public func note(repoDigest name: String, of id: Digest) throws {
    if try readRows().contains(where: { $0.id == id && $0.repoDigests.contains(name) }) { return }
    try database().change(self) { transaction in
      guard var row = try transaction.rows().first(where: { $0.id == id }) else { throw noSuchImage(id.text, []) }
      row.repoDigests = [name]
      try transaction.put(row)
    }
  }

  /// Takes the name away; the image stays, perhaps without any. Throws if no image has it.
  public func untag(_ reference: ImageReference) throws {
    try database().change(self) { transaction in
      let rows = try transaction.rows()
      guard rows.contains(where: { $0.tags.contains(reference.canonical) }) else {
        throw noSuchImage(reference.familiar, rows)
      }
      try transaction.untag(reference.canonical)
    }
  }

  /// Finds the image that `text` names: `name`, `name:tag`, `name@sha256:...`, an ID, or the beginning of one.
  /// Throws `no such image: text`, with the nearest name, or that several IDs begin so.
  /// While a lease is held, neither the image nor its layers are collected from then on.
  public func resolve(_ text: String) throws -> StoredImage {
    // The usual case: a name with its tag.
    let name = (try? Digest(text)) == nil ? try? ImageReference(text) : nil
    var rows: [StateDatabase.Row] = []
    let found = try using {
      try settleIndex()
      if let name, name.digest == nil,
        let row = Store.findRow(named: name.canonical, in: try HostPath.read(paths.index))
      {
        return row
      }
      rows = try readRows()
      return try lookUp(text, rows).row
    }
    guard let found else { throw noSuchImage(text, rows) }
    return found
  }

  /// The row that `text` names, and whether it did so by ID.
  func lookUp(_ text: String, _ rows: [StateDatabase.Row]) throws -> (row: StateDatabase.Row, byID: Bool) {
    if let digest = try? Digest(text),
      let row = rows.first(where: { $0.id == digest || $0.manifest.digest == digest })
    {
      return (row, true)
    }
    if let reference = try? ImageReference(text) {
      if let digest = reference.digest {
        let plain = "\(reference.registry)/\(reference.repository)"
        let found = rows.first { row in
          row.repoDigests.contains("\(plain)@\(digest)")
            || (row.manifest.digest == digest && row.tags.contains { $0.hasPrefix(plain + ":") })
        }
        if let found { return (found, false) }
      } else if let row = rows.first(where: { $0.tags.contains(reference.canonical) }) {
        return (row, false)
      }
    }
    let prefix = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
    guard !prefix.isEmpty, prefix.utf8.allSatisfy({ ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }) else {
      throw noSuchImage(text, rows)
    }
    let found = rows.filter { $0.id.encoded.hasPrefix(prefix) }
    guard let first = found.first else { throw noSuchImage(text, rows) }
    guard found.count == 1 else {
      throw Failure(
        "find image \"\(text)\"",
        "\(found.count) image IDs begin so: "
          + found.prefix(4).map(\.id.short).joined(separator: ", ") + (found.count > 4 ? ", ..." : ""))
    }
    return (first, true)
  }

  func noSuchImage(_ text: String, _ rows: [StateDatabase.Row]) -> Failure {
    let names = rows.flatMap(\.tags).compactMap { try? ImageReference($0) }
    let candidates = names.map(\.familiar) + names.map(\.familiarRepository)
    return Failure(
      "", "no such image: \(text)" + didYouMean(text, in: candidates.filter { $0 != text }.sorted()), kind: .notFound)
  }

  /// The row of `id`, nil if the store does not have the image.
  private func findRow(_ id: Digest) throws -> StateDatabase.Row? {
    try settleIndex()
    let index = try HostPath.read(paths.index)
    if let row = Store.findRow(id, in: index) { return row }
    return Store.isOwnWriting(index) ? nil : try readRows().first { $0.id == id }
  }

  /// Writes the index anew where a killed command left it behind the database. On a disk that can't be written it
  /// stays.
  private func settleIndex() throws {
    if try HostPath.status(paths.indexPending) != nil { try? database().change(self) { _ in } }
  }

  func readRows() throws -> [StateDatabase.Row] {
    try settleIndex()
    guard let status = try HostPath.status(paths.index) else { return try Store.readIndex(paths) }
    if let known = knownRows(status) { return known }
    let rows = try Store.readIndex(paths)
    // Replaced while it was read, it is read again by the next one.
    if try HostPath.status(paths.index) == status { noteRows(rows, status) }
    return rows
  }

  func image(_ row: StateDatabase.Row) throws -> StoredImage {
    let manifest = try ImageManifest(json: JSON.parse(readSmallBlob(row.manifest.digest)))
    return StoredImage(
      id: row.id, config: try imageConfig(row.id), manifest: manifest, manifestDigest: row.manifest.digest,
      size: row.size, repoTags: row.tags.compactMap { try? ImageReference($0) }.sorted(),
      repoDigests: row.repoDigests.map { (try? ImageReference($0))?.familiar ?? $0 })
  }

  /// Where a pulled or loaded blob came from: `blob` is a compressed form of the layer `diffID`.
  public func link(compressed blob: Digest, to diffID: Digest, mediaType: String) throws {
    if try database().diffID(ofBlob: blob) == diffID { return }
    try database().change(self) { try $0.link(blob, to: diffID, mediaType: mediaType) }
  }

  /// The layer whose compressed form `blob` is, if the store has both; else nil.
  public func layer(ofCompressed blob: Digest) throws -> Layer? {
    guard try hasBlob(blob), let diffID = try database().diffID(ofBlob: blob) else { return nil }
    return try layer(diffID)
  }

  /// The compressed forms of the layer that the store has, as descriptors, sorted by digest.
  public func compressedForms(of diffID: Digest) throws -> [Descriptor] {
    try database().blobs(ofLayer: diffID).compactMap { blob, mediaType in
      try blobSize(blob).map { Descriptor(mediaType: mediaType, digest: blob, size: $0) }
    }
  }
}
