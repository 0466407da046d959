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

  /// An image that `load` took in.
  public struct Loaded: Sendable, Equatable {
    public var id: Digest
    /// The names the archive gives it, sorted; they point to it now.
    public var names: [ImageReference]

    /// Docker's lines: `Loaded image: NAME` for each name, or `Loaded image ID: sha256:...`.
    public var lines: [String] {
      names.isEmpty ? ["Loaded image ID: \(id.text)"] : names.map { "Loaded image: \($0.familiar)" }
    }
  }

  /// What a document of an archive may have, bytes.
  static let maximumDocument = 16 << 20

  /// Loads all images of the archive or OCI layout directory at `path`.
  ///
  /// Archives are docker-archives or OCI archives, plain or compressed with gzip, zstd, xz or bzip2, with layers plain
  /// or compressed with gzip or zstd. Every digest, size and diffID is verified while the bytes stream into the store;
  /// an archive that fails leaves no image, only layers that the next collection removes. Of an index the image for
  /// `platform` is taken.
  public static func load(_ path: String, into store: Store, platform: Platform = .current) throws -> [Loaded] {
    if try HostPath.status(path)?.kind == .directory {
      return try load(DirectoryContents(path), into: store, platform)
    }
    return try load(OpenFile(path), into: store, platform: platform)
  }

  /// As `load(_:into:platform:)` of an open file or pipe. What can't be read twice, or is compressed as a whole, goes
  /// through a temporary file in the store.
  public static func load(_ file: OpenFile, into store: Store, platform: Platform = .current) throws -> [Loaded] {
    let plain = try ArchiveSpool.plain(file, store)
    return try load(TarContents(plain, name: file.path), into: store, platform)
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
  /// or bzip2, and gives it `name`. `created` and `config` go into the image's config.
  public static func importRootfs(
    _ file: OpenFile, into store: Store, name: ImageReference? = nil, config: ContainerConfig = ContainerConfig(),
    message: String = "", platform: Platform = .current, created: Timestamp
  ) throws -> StoredImage {
    let lease = try store.lease()
    defer { lease.release() }
    let what = "import \(file.path)"
    let source = try ArchiveSpool.ingestible(file, store)
    let (layer, blob) = try store.ingestLayer(source, what: what)
    let reader = TarReader(FileSource(try OpenFile(store.tarPath(layer.diffID))))
    guard try reader.next() != nil else { throw Failure(what, "the archive is empty") }
    let comment = message.isEmpty ? "Imported from \(file.path)" : message
    let document = ImageConfig(
      platform: platform, created: created, config: config, diffIDs: [layer.diffID],
      history: [ImageConfig.History(created: created, comment: comment)]
    ).json.bytes
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(document), size: Int64(document.count)),
      layers: [blob])
    return try store.putImage(config: document, manifest: manifest, tags: name.map { [$0] } ?? [])
  }
}
