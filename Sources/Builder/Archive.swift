public import Core
internal import FileTree
public import Linux
public import Store

/// Images in files: what `load` reads, what `save` writes, and the import of a root file system.
public enum ImageArchive {
  /// How `save` lays images out.
  public enum Format: String, Sendable, CaseIterable {
    /// A tar with `manifest.json`, as `docker save` makes.
    case dockerArchive = "docker-archive"
    /// A tar of an OCI image layout.
    case ociArchive = "oci-archive"
    /// An OCI image layout (OCI image-spec 1.1, image-layout.md).
    case ociDirectory = "oci-dir"
  }

  /// Where an archive is read from or written to.
  public enum Place: Sendable {
    /// A file, or the directory of an OCI image layout.
    case path(String)
    /// An open file, pipe or standard stream.
    case file(OpenFile)

    /// For messages.
    var name: String {
      switch self {
      case .path(let path): path
      case .file(let file): file.path
      }
    }
  }

  /// An image that `load` took in: one for each name that the archive gives it and that points to it now.
  public enum Loaded: Sendable, Equatable {
    case named(ImageReference)
    /// The archive has no name for it.
    case unnamed(Digest)

    /// Docker's line: `Loaded image: NAME` or `Loaded image ID: sha256:...`.
    public var line: String {
      switch self {
      case .named(let name): "Loaded image: \(name.familiar)"
      case .unnamed(let id): "Loaded image ID: \(id.text)"
      }
    }
  }

  /// What a document of an archive may have, bytes.
  static let maximumDocument = 16 << 20

  /// Loads all images of an archive or an OCI layout directory.
  ///
  /// Archives are docker-archives or OCI archives, plain or compressed with gzip, zstd, xz or bzip2, with layers plain
  /// or compressed with gzip or zstd. Every digest, size and diffID is verified while the bytes stream into the store;
  /// what fails leaves at most the whole images before it, and layers that the next collection removes. Of an index
  /// the image for `platform` is taken. What can't be read twice, or is compressed as a whole, goes through a temporary
  /// file in the store.
  public static func load(_ place: Place, into store: Store, platform: Platform = .current) throws -> [Loaded] {
    if case .path(let path) = place, try HostPath.status(path)?.kind == .directory {
      return try load(DirectoryContents(path), into: store, platform)
    }
    let plain = try ArchiveSpool.plain(open(place), store)
    return try load(TarContents(plain, name: place.name), into: store, platform)
  }

  private static func open(_ place: Place) throws -> OpenFile {
    switch place {
    case .path(let path): try OpenFile(path)
    case .file(let file): file
    }
  }

  private static func load(_ contents: ArchiveContents, into store: Store, _ platform: Platform) throws -> [Loaded] {
    let lease = try store.lease()
    defer { lease.release() }
    do {
      return try ArchiveLoader(contents: contents, store: store, platform: platform).load()
    } catch let failure as Failure {
      throw failure.during("load \(contents.name)")
    } catch let error as SystemError {
      throw error.failure.during("load \(contents.name)")
    }
  }

  /// Makes an image of one layer from the root file system in the tar `file`, plain or compressed with gzip, zstd, xz
  /// or bzip2, and gives it the name `reference`. `changes` are Dockerfile instructions that make its config; `message`
  /// is the comment of its history. Returns the image's ID.
  public static func importRootfs(
    _ place: Place, into store: Store, reference: ImageReference? = nil, message: String? = nil,
    changes: [String] = [], platform: Platform = .current, created: Timestamp = Machine.now()
  ) throws -> Digest {
    let config = try ArchiveChanges.config(changes, platform: platform)
    let lease = try store.lease()
    defer { lease.release() }
    let what = "import \(place.name)"
    let source = try ArchiveSpool.ingestible(open(place), store)
    let (layer, blob) = try store.ingestLayer(source, what: what)
    let reader = TarReader(FileSource(try OpenFile(store.tarPath(layer.diffID))))
    guard try reader.next() != nil else { throw Failure(what, "the archive is empty") }
    let comment = message ?? "Imported from \(place.name)"
    let document = ImageConfig(
      platform: platform, created: created, config: config, diffIDs: [layer.diffID],
      history: [ImageConfig.History(created: created, comment: comment)]
    ).json.bytes
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(document), size: Int64(document.count)),
      layers: [blob])
    return try store.putImage(config: document, manifest: manifest, tags: reference.map { [$0] } ?? []).id
  }
}
