internal import Core
internal import FileTree
internal import Linux
public import Store

extension ImageArchive {
  /// An image to save and the names that the archive gives it.
  struct Selection {
    var image: StoredImage
    var names: [ImageReference]
  }

  /// Writes the images that `names` say as an archive, the same bytes every time: a file whole or not at all, an OCI
  /// layout into a directory that does not exist or is empty.
  ///
  /// An image gets the names by which it was asked for, none where that was its ID. `compression` of the layers is
  /// `none`, `gzip` or `zstd`; nil leaves them as their manifests have them in OCI archives, and plain in
  /// docker-archives. `level` is the compression's, 0 ... 9 for gzip, 1 ... 19 for zstd.
  public static func save(
    _ names: [String], from store: Store, format: Format, to place: Place, compression: String? = nil,
    level: Int? = nil
  ) throws {
    let wanted = try compression.map { text in
      guard let compression = Compression(rawValue: text) else {
        throw Failure(
          "save \(place.name)",
          "unknown compression \(text)"
            + didYouMean(text, in: Compression.allCases.map(\.rawValue)), exitCode: 125)
      }
      return compression
    }
    if level != nil, wanted == nil || wanted == Compression.none {
      throw Failure("save \(place.name)", "a level needs gzip or zstd compression", exitCode: 125)
    }
    let saver = ArchiveSaver(store: store, compression: wanted, level: level)
    let lease = try store.lease()
    defer { lease.release() }
    let images = try select(names, from: store)
    switch (place, format) {
    case (.path(let path), .ociDirectory): try save(images, from: saver, toDirectory: path)
    case (.file(let file), .ociDirectory):
      throw Failure("save \(file.path)", "an OCI layout directory needs a path", hint: "name it with -o", exitCode: 125)
    case (.file(let file), _): try write(images, from: saver, format, to: file)
    case (.path(let path), _):
      let temporary = "\(path).\(Machine.processID).tmp"
      do {
        try write(images, from: saver, format, to: OpenFile(temporary, .create))
        // Threads that copied on behalf of a cancelled task may have come to the end without it.
        try Task.checkCancellation()
        try HostPath.rename(temporary, to: path)
      } catch {
        try? HostPath.removeFile(temporary)
        throw error
      }
    }
  }

  private static func select(_ texts: [String], from store: Store) throws -> [Selection] {
    var out: [Selection] = []
    for text in texts {
      let image = try store.resolve(text)
      let reference = try? ImageReference(text)
      let names = image.repoTags.filter { $0 == reference }
      if let at = out.firstIndex(where: { $0.image.id == image.id }) {
        out[at].names += names.filter { !out[at].names.contains($0) }
      } else {
        out.append(Selection(image: image, names: names))
      }
    }
    return out
  }

  private static func write(
    _ images: [Selection], from saver: ArchiveSaver, _ format: Format, to file: OpenFile
  ) throws {
    let tar = TarWriter(file)
    if format == .dockerArchive {
      try saver.writeDocker(images, TarOutput(tar))
    } else {
      try saver.writeOCI(images, TarOutput(tar), withDockerManifest: true)
    }
    _ = try tar.finish()
  }

  private static func save(
    _ images: [Selection], from saver: ArchiveSaver, toDirectory path: String
  ) throws {
    if let there = try HostPath.status(path) {
      guard there.kind == .directory, try Directory(path).entries().isEmpty else {
        throw Failure("save \(path)", "it exists and is not an empty directory")
      }
    }
    try saver.writeOCI(images, DirectoryOutput(path))
  }
}

/// Where the files of an archive go.
protocol ArchiveOutput {
  func directory(_ path: String) throws
  func add(_ path: String, size: Int64, _ source: ByteSource) throws
}

extension ArchiveOutput {
  func add(_ path: String, _ bytes: [UInt8]) throws {
    try add(path, size: Int64(bytes.count), MemorySource(bytes))
  }
}

/// Members of a tar; of 1970, readable by all.
private struct TarOutput: ArchiveOutput {
  private let tar: TarWriter

  init(_ tar: TarWriter) { self.tar = tar }

  func directory(_ path: String) throws {
    try tar.begin(TarEntry(path: TreePath(clamping: path), kind: .directory, mode: 0o755))
  }

  func add(_ path: String, size: Int64, _ source: ByteSource) throws {
    try tar.begin(TarEntry(path: TreePath(clamping: path), kind: .regular, mode: 0o644, size: size))
    try tar.copy(from: source)
  }
}

/// Files of a directory.
private struct DirectoryOutput: ArchiveOutput {
  private let root: String

  init(_ root: String) throws {
    self.root = root
    try HostPath.makeDirectories(root)
  }

  func directory(_ path: String) throws { try HostPath.makeDirectories("\(root)/\(path)") }

  func add(_ path: String, size: Int64, _ source: ByteSource) throws {
    try source.copy(to: OpenFile("\(root)/\(path)", .create))
  }
}

/// One save: which blobs, in which order, under which documents.
struct ArchiveSaver {
  let store: Store
  let compression: Compression?
  let level: Int?

  /// A layer's blob: its descriptor, and the file that has it.
  private struct Blob {
    var descriptor: Descriptor
    var file: OpenFile
    var source: ByteSource { FileSource(file) }
  }

  func writeDocker(_ images: [ImageArchive.Selection], _ output: ArchiveOutput) throws {
    var manifest: [JSON] = []
    var configs: [Digest: [UInt8]] = [:]
    var layers: [Digest: Blob] = [:]
    for selection in images {
      let image = selection.image
      configs[image.id] = try store.readSmallBlob(image.id)
      for diffID in image.config.diffIDs where layers[diffID] == nil {
        layers[diffID] = try layer(diffID, nil, compression ?? Compression.none)
      }
      manifest.append(
        dockerEntry(
          selection, config: "\(image.id.encoded).json", layers: image.config.diffIDs.map { "\($0.encoded).tar" }))
    }
    // First, so that a reader of a stream knows what is to come.
    try output.add("manifest.json", JSON.array(manifest).bytes)
    for (id, bytes) in configs.sorted(by: { $0.key < $1.key }) { try output.add("\(id.encoded).json", bytes) }
    for (diffID, blob) in layers.sorted(by: { $0.key < $1.key }) {
      try output.add("\(diffID.encoded).tar", size: blob.descriptor.size, blob.source)
    }
  }

  /// An element of `manifest.json`.
  private func dockerEntry(_ selection: ImageArchive.Selection, config: String, layers: [String]) -> JSON {
    .object([
      "Config": .string(config), "Layers": .strings(layers),
      "RepoTags": selection.names.isEmpty ? .null : .strings(selection.names.sorted().map(\.familiar)),
    ])
  }

  private func blobPath(_ digest: Digest) -> String { "blobs/sha256/\(digest.encoded)" }

  /// `withDockerManifest` adds the `manifest.json` of a docker-archive over the same blobs, as `docker save` does: so
  /// tools that take one image from an OCI archive, or none, load all.
  func writeOCI(_ images: [ImageArchive.Selection], _ output: ArchiveOutput, withDockerManifest: Bool = false) throws {
    var dockerManifest: [JSON] = []
    var entries: [Descriptor] = []
    var documents: [Digest: [UInt8]] = [:]
    var blobs: [Digest: Blob] = [:]
    var made: [Digest: Blob] = [:]
    for selection in images {
      let image = selection.image
      documents[image.id] = try store.readSmallBlob(image.id)
      var manifest = image.manifest
      for (i, diffID) in image.config.diffIDs.enumerated() {
        let blob = try made[diffID] ?? layer(diffID, manifest.layers[i], compression)
        if compression != nil { made[diffID] = blob }
        blobs[blob.descriptor.digest] = blob
        manifest.layers[i] = blob.descriptor
      }
      dockerManifest.append(
        dockerEntry(
          selection, config: blobPath(image.id), layers: manifest.layers.map { blobPath($0.digest) }))
      let isKept = manifest == image.manifest
      let bytes = isKept ? try store.readSmallBlob(image.manifestDigest) : manifest.json.bytes
      let digest = Digest.sha256(bytes)
      documents[digest] = bytes
      var descriptor = Descriptor(
        mediaType: manifest.mediaType, digest: digest, size: Int64(bytes.count), platform: image.config.platform)
      if selection.names.isEmpty { entries.append(descriptor) }
      for name in selection.names.sorted() {
        descriptor.annotations = [
          "io.containerd.image.name": name.canonical, "org.opencontainers.image.ref.name": name.tag ?? "latest",
        ]
        entries.append(descriptor)
      }
    }
    try output.add("oci-layout", JSON.object(["imageLayoutVersion": "1.0.0"]).bytes)
    try output.add("index.json", ImageIndex(manifests: entries).json.bytes)
    if withDockerManifest { try output.add("manifest.json", JSON.array(dockerManifest).bytes) }
    try output.directory("blobs")
    try output.directory("blobs/sha256")
    for digest in Set(documents.keys).union(blobs.keys).sorted() {
      let path = blobPath(digest)
      if let bytes = documents[digest] {
        try output.add(path, bytes)
      } else if let blob = blobs[digest] {
        try output.add(path, size: blob.descriptor.size, blob.source)
      }
    }
  }

  /// The blob of the layer in the wanted form: `stored` if that is nil or the form it has, else made in a temporary
  /// file without a name.
  private func layer(_ diffID: Digest, _ stored: Descriptor?, _ wanted: Compression?) throws -> Blob {
    if let stored, wanted == nil || (level == nil && wanted.map(LayerForms.mediaType) == stored.mediaType) {
      return Blob(descriptor: stored, file: try store.openBlob(stored.digest))
    }
    let tar = try OpenFile(store.tarPath(diffID))
    guard let wanted, wanted != .none else {
      let size = try tar.status().size
      return Blob(descriptor: Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: size), file: tar)
    }
    let (descriptor, made) = try LayerForms.compress(diffID, wanted, level: level, store)
    return Blob(descriptor: descriptor, file: made)
  }
}
