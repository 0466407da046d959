public import Core
internal import Builder
internal import Linux
internal import Store

extension Engine {
  /// One row a name, newest image first; images without a name have one row.
  public func images(all: Bool) async throws -> [ImageSummary] {
    try await withStore { store in
      let counts = try Dictionary(grouping: store.containers(), by: \.image).mapValues(\.count)
      // A list stands for the images that have no name of their own.
      let listed = all ? [] : Set(try store.lists().flatMap(\.images))
      var rows: [ImageSummary] = []
      for image in try store.images() where !image.repoTags.isEmpty || !listed.contains(image.id) {
        let digest = image.manifestDigest
        func row(_ reference: ImageReference?) -> ImageSummary {
          ImageSummary(
            id: image.id, repository: reference?.familiarRepository, tag: reference?.tag, digest: digest,
            created: image.created, size: image.size, labels: image.config.config.labels,
            containers: counts[image.id] ?? 0)
        }
        if image.repoTags.isEmpty { rows.append(row(nil)) }
        rows += image.repoTags.map { row($0) }
      }
      return rows.sorted { a, b in
        if a.created != b.created { return (b.created ?? .distantPast) < (a.created ?? .distantPast) }
        return (a.repository ?? "", a.tag ?? "", a.id) < (b.repository ?? "", b.tag ?? "", b.id)
      }
    }
  }

  /// Docker's `inspect` document of the image called `name`.
  /// With `platform` the one of its images that is for it.
  public func inspectImage(_ name: String, platform: String? = nil) async throws -> JSON {
    try await withStore { store in
      guard let platform = try platform.map({ try Platform($0) }) else {
        return ImageDocument(try store.resolve(name)).json
      }
      guard let image = try store.resolve(name, platform: platform) else {
        throw Failure("", "no such image: \(name) for \(platform)")
      }
      return ImageDocument(image).json
    }
  }

  /// The image's history, newest first.
  public func imageHistory(_ name: String) async throws -> [HistoryRow] {
    try await withStore { store in
      let image = try store.resolve(name)
      var sizes: [Int64] = []
      for diffID in image.config.diffIDs { sizes.append(try store.layer(diffID)?.size ?? 0) }
      var layer = 0
      var rows: [HistoryRow] = []
      for entry in image.config.history {
        var size: Int64 = 0
        if !entry.isEmptyLayer {
          size = layer < sizes.count ? sizes[layer] : 0
          layer += 1
        }
        rows.append(
          HistoryRow(
            id: nil, created: entry.created, createdBy: entry.createdBy, size: size, comment: entry.comment))
      }
      rows.reverse()
      if !rows.isEmpty { rows[0].id = image.id }
      return rows
    }
  }

  /// Gives the image `source` the further name `target`.
  public func tag(_ source: String, as target: String) async throws {
    try await withStore { store in
      let reference = try ImageReference(target)
      guard reference.digest == nil else { throw Failure("tag \(target)", "a tag can't have a digest") }
      let image = try store.resolve(source)
      try store.tag(reference, image.id)
      // A name of images for several platforms gives the further name all of them.
      guard let name = try? ImageReference(source), name.digest == nil, name != reference,
        let list = try store.list(name), list.kind == .image, list.images.contains(image.id)
      else { return }
      try store.changeList(reference) { $0 = list.named(reference) }
    }
  }

  /// Removes a name, or with the last one or an ID the image itself.
  public func removeImage(_ name: String, force: Bool, noPrune: Bool) async throws -> RemovedImages {
    try await withStore { store in
      let removal = try store.removeImage(name, force: force)
      var removed = RemovedImages()
      removed.untagged = removal.untagged
      removed.deleted = removal.deleted
      return removed
    }
  }

  /// Brings in the images of an archive.
  public func load(_ from: ArchiveLocation) async throws -> [LoadedImage] {
    try await withStore { store in
      try ImageArchive.load(Engine.place(from, 0, "standard input"), into: store).map { loaded in
        switch loaded {
        case .named(let reference): .named(reference.familiar)
        case .unnamed(let id): .unnamed(id)
        }
      }
    }
  }

  /// Writes images as an archive. `compression` is `none`, `gzip`, `zstd`, or nil for layers as they are stored; with
  /// `level`, 0 ... 9 for gzip and 1 ... 19 for zstd, layers are compressed anew.
  public func save(
    _ names: [String], to: ArchiveLocation, format: ArchiveFormat, compression: String?, level: Int? = nil
  ) async throws {
    try await withStore { store in
      try ImageArchive.save(
        names, from: store, format: ImageArchive.Format(format), to: Engine.place(to, 1, "standard output"),
        compression: compression, level: level)
    }
  }

  /// Makes a one-layer image of a root file system's tar, with `changes` applied to its config.
  public func importImage(_ from: ArchiveLocation, reference: String?, message: String?, changes: [String])
    async throws -> Digest
  {
    try await withStore { store in
      let name = try reference.map { try ImageReference($0) }
      return try ImageArchive.importRootfs(
        Engine.place(from, 0, "standard input"), into: store, reference: name, message: message, changes: changes)
    }
  }
}

extension ImageArchive.Format {
  init(_ format: ArchiveFormat) {
    self =
      switch format {
      case .dockerArchive: .dockerArchive
      case .ociArchive: .ociArchive
      case .ociDirectory: .ociDirectory
      }
  }
}

extension Engine {
  /// The place of an archive; `descriptor` is the standard stream that `-` means.
  private static func place(_ location: ArchiveLocation, _ descriptor: Int32, _ name: String) throws
    -> ImageArchive.Place
  {
    switch location {
    case .path(let path): .path(path)
    case .standardStream: .file(try OpenFile.duplicate(descriptor, path: name))
    }
  }
}

extension Timestamp {
  /// Before every image.
  static let distantPast = Timestamp(seconds: Int64.min / 2)
}
