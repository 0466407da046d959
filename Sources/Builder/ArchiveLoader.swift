internal import Core
internal import FileTree
internal import Store

/// One load: from the documents of an archive to images of the store.
struct ArchiveLoader {
  let contents: ArchiveContents
  let store: Store
  let platform: Platform

  private static let nameAnnotations = ["io.containerd.image.name", "org.opencontainers.image.ref.name"]

  /// Loads everything, in the archive's order; each image once.
  func load() throws -> [ImageArchive.Loaded] {
    try take().flatMap { taken in
      taken.names.isEmpty ? [.unnamed(taken.id)] : taken.names.map { .named($0) }
    }
  }

  /// An image that is in the store now, and the names the archive gives it.
  private struct Taken {
    var id: Digest
    var names: [ImageReference]
  }

  private func take() throws -> [Taken] {
    let layout = try contents.json(TreePath(clamping: "oci-layout"))
    let index = try contents.json(TreePath(clamping: "index.json"))
    let manifests = try contents.json(TreePath(clamping: "manifest.json"))
    if let layout, let index { return try loadOCI(layout, index, manifests) }
    if let manifests { return try loadDocker(manifests) }
    if index != nil { throw Failure("", "the file oci-layout of an OCI image layout is missing") }
    if layout != nil { throw Failure("", "the file index.json of an OCI image layout is missing") }
    if try contents.open(TreePath(clamping: "repositories")) != nil {
      throw Failure(
        "", "it has only a \"repositories\" file, the layout of Docker before 1.10",
        hint: "save the image again with a newer version")
    }
    throw Failure(
      "", "it has neither manifest.json nor index.json, so it is no image archive",
      hint: "a root file system is loaded with \"stave import\"")
  }

  // MARK: OCI image layouts

  private func loadOCI(_ layout: JSON, _ index: JSON, _ manifests: JSON?) throws -> [Taken] {
    guard let version = layout["imageLayoutVersion"]?.string, version.hasPrefix("1.") else {
      throw Failure("read oci-layout", "imageLayoutVersion is not 1.0.0")
    }
    let entries = try ImageIndex(json: index).manifests.filter { !isAttestation($0) }
    guard !entries.isEmpty else { throw Failure("read index.json", "it lists no image") }
    var groups: [(name: ImageReference?, entries: [Descriptor])] = []
    for entry in entries {
      let name = try name(of: entry)
      if let at = groups.firstIndex(where: { $0.name == name && (name != nil || entry.platform != nil) }) {
        groups[at].entries.append(entry)
      } else {
        groups.append((name, [entry]))
      }
    }
    var loaded: [Taken] = []
    for (name, entries) in groups {
      let image = try loadOCI(pick(entries), depth: 0, tags: name.map { [$0] } ?? [])
      loaded.append(Taken(id: image.id, names: name.map { [$0] } ?? []))
    }
    if let manifests { try addNames(manifests, to: &loaded) }
    return merged(loaded)
  }

  private func loadOCI(_ descriptor: Descriptor, depth: Int, tags: [ImageReference]) throws -> StoredImage {
    let bytes = try blobDocument(descriptor)
    let what = "read manifest \(descriptor.digest)"
    do {
      let json = try JSON.parse(bytes)
      switch descriptor.mediaType {
      case MediaType.ociIndex, MediaType.dockerList:
        guard depth < 4 else { throw Failure("", "indexes are nested too deep") }
        let entries = try ImageIndex(json: json).manifests.filter { !isAttestation($0) }
        return try loadOCI(pick(entries), depth: depth + 1, tags: tags)
      case MediaType.ociManifest, MediaType.dockerManifest:
        let manifest = try ImageManifest(json: json)
        return try load(manifest, bytes, tags)
      default:
        throw Failure("", "media type \(descriptor.mediaType) is not that of an image")
      }
    } catch let failure as Failure {
      throw failure.action.hasPrefix("read manifest sha") ? failure : failure.during(what)
    }
  }

  private func load(_ manifest: ImageManifest, _ bytes: [UInt8], _ tags: [ImageReference]) throws -> StoredImage {
    guard [MediaType.ociConfig, MediaType.dockerConfig].contains(manifest.config.mediaType) else {
      throw Failure("", "it is an artifact of type \(manifest.config.mediaType), not an image")
    }
    let configBytes = try blobDocument(manifest.config)
    let config = try ImageConfig(json: JSON.parse(configBytes))
    guard config.diffIDs.count == manifest.layers.count else {
      throw Failure("", "the config lists \(config.diffIDs.count) layers, the manifest \(manifest.layers.count)")
    }
    for (layer, diffID) in zip(manifest.layers, config.diffIDs) { try load(layer, diffID) }
    return try store.putImage(config: configBytes, manifest: manifest, manifestBytes: bytes, tags: tags)
  }

  private func load(_ descriptor: Descriptor, _ diffID: Digest) throws {
    if try store.useLayer(diffID, as: descriptor.digest) { return }
    guard !descriptor.mediaType.contains("encrypted") else {
      throw Failure.notSupportedYet("encrypted layer \(descriptor.digest)")
    }
    let (source, _) = try blob(descriptor)
    _ = try store.ingestLayer(
      source, digest: descriptor.digest, diffID: diffID, what: "read layer \(descriptor.digest)")
  }

  private func blob(_ descriptor: Descriptor) throws -> (source: ByteSource, size: Int64) {
    let digest = descriptor.digest
    guard digest.algorithm == "sha256" else {
      throw Failure("read blob \(digest)", "only sha256 digests are supported")
    }
    guard let found = try contents.open(TreePath(clamping: "blobs/sha256/\(digest.encoded)")) else {
      throw Failure("read blob \(digest)", "the archive does not have it")
    }
    guard found.size == descriptor.size else {
      throw Failure("read blob \(digest)", "it has \(found.size) bytes, not \(descriptor.size)")
    }
    return found
  }

  private func blobDocument(_ descriptor: Descriptor) throws -> [UInt8] {
    let (source, size) = try blob(descriptor)
    guard size <= ImageArchive.maximumDocument, let bytes = try source.bytes(limit: ImageArchive.maximumDocument)
    else {
      throw Failure("read blob \(descriptor.digest)", "it is larger than \(ImageArchive.maximumDocument) bytes")
    }
    guard Digest.sha256(bytes) == descriptor.digest else {
      throw Failure("read blob \(descriptor.digest)", "the content does not match: it is \(Digest.sha256(bytes))")
    }
    return bytes
  }

  /// The image's whole name: a `ref.name` that is but a tag is none.
  private func name(of descriptor: Descriptor) throws -> ImageReference? {
    for key in ArchiveLoader.nameAnnotations {
      guard let text = descriptor.annotations[key], !text.isEmpty else { continue }
      if key == ArchiveLoader.nameAnnotations[0] || text.contains("/") || text.contains(":") {
        return try ImageReference(text).withoutDigest
      }
    }
    return nil
  }

  /// What BuildKit puts beside images: a manifest about another one.
  private func isAttestation(_ descriptor: Descriptor) -> Bool {
    descriptor.annotations["vnd.docker.reference.type"] != nil || descriptor.platform?.os == "unknown"
  }

  /// The entry for `platform`: of the same variant, else of any; one that says no platform is for all.
  private func pick(_ entries: [Descriptor]) throws -> Descriptor {
    if entries.count == 1, let only = entries.first, only.platform == nil { return only }
    if let exact = entries.first(where: { $0.platform == platform }) { return exact }
    let near = entries.first {
      $0.platform?.os == platform.os && $0.platform?.architecture == platform.architecture
    }
    if let near { return near }
    if let free = entries.first(where: { $0.platform == nil }) { return free }
    let offered = entries.compactMap(\.platform?.description).joined(separator: ", ")
    throw Failure("", "it has no image for \(platform)" + (offered.isEmpty ? "" : ", only for \(offered)"))
  }

  // MARK: Docker archives

  /// One element of `manifest.json`.
  private struct DockerEntry {
    var config: TreePath
    var names: [ImageReference]
    var layers: [TreePath]

    init(_ json: JSON) throws {
      func refuse(_ member: String) -> Failure {
        Failure("read manifest.json", "\(member) is missing or malformed")
      }
      guard let config = json["Config"]?.string, !config.isEmpty else { throw refuse("Config") }
      self.config = TreePath(clamping: config)
      names = []
      if let tags = json["RepoTags"], !tags.isNull {
        guard let tags = tags.array else { throw refuse("RepoTags") }
        names = try tags.map {
          guard let text = $0.string else { throw refuse("RepoTags") }
          return try ImageReference(text).withoutDigest
        }
      }
      guard let layers = json["Layers"] else { throw refuse("Layers") }
      self.layers = try (layers.isNull ? [] : layers.array ?? [.null]).map {
        guard let text = $0.string else { throw refuse("Layers") }
        return TreePath(clamping: text)
      }
    }
  }

  private func entries(_ manifests: JSON) throws -> [DockerEntry] {
    guard let array = manifests.array, !array.isEmpty else {
      throw Failure("read manifest.json", "it is no array of images")
    }
    return try array.map { try DockerEntry($0) }
  }

  private func loadDocker(_ manifests: JSON) throws -> [Taken] {
    merged(
      try entries(manifests).map { entry in
        let image = try loadDocker(entry)
        return Taken(id: image.id, names: entry.names)
      })
  }

  private func loadDocker(_ entry: DockerEntry) throws -> StoredImage {
    guard let bytes = try contents.document(entry.config) else {
      throw Failure("read \(entry.config.text)", "the archive does not have it")
    }
    let id = Digest.sha256(bytes)
    let name = String(decoding: entry.config.name, as: UTF8.self)
    let stem = name.hasSuffix(".json") ? String(name.dropLast(5)) : name
    if let named = try? Digest("sha256:" + stem), named != id {
      throw Failure("read \(entry.config.text)", "the content does not match its name: it is \(id)")
    }
    let config: ImageConfig
    do {
      config = try ImageConfig(json: JSON.parse(bytes))
    } catch let failure as Failure {
      throw failure.during("read \(entry.config.text)")
    }
    guard config.diffIDs.count == entry.layers.count else {
      throw Failure(
        "read manifest.json", "the config lists \(config.diffIDs.count) layers, the manifest \(entry.layers.count)")
    }
    var layers: [Descriptor] = []
    for (path, diffID) in zip(entry.layers, config.diffIDs) {
      if let layer = try store.useLayer(diffID) {
        layers.append(Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: layer.size))
        continue
      }
      guard let (source, _) = try contents.open(path) else {
        throw Failure("read layer \(path.text)", "the archive does not have it")
      }
      layers.append(try store.ingestLayer(source, diffID: diffID, what: "read layer \(path.text)").blob)
    }
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: id, size: Int64(bytes.count)), layers: layers)
    return try store.putImage(config: bytes, manifest: manifest, tags: entry.names)
  }

  // MARK: Names

  /// Adds the names that `manifest.json` of a mixed archive gives to images that were loaded from its index.
  private func addNames(_ manifests: JSON, to loaded: inout [Taken]) throws {
    for entry in try entries(manifests) {
      guard let bytes = try contents.document(entry.config) else { continue }
      let id = Digest.sha256(bytes)
      guard let at = loaded.firstIndex(where: { $0.id == id }) else { continue }
      for name in entry.names where !loaded.contains(where: { $0.names.contains(name) }) {
        try store.tag(name, id)
        loaded[at].names.append(name)
      }
    }
  }

  /// Each image once, with all its names.
  private func merged(_ loaded: [Taken]) -> [Taken] {
    var out: [Taken] = []
    for image in loaded {
      if let at = out.firstIndex(where: { $0.id == image.id }) {
        out[at].names += image.names
      } else {
        out.append(image)
      }
    }
    return out.map { image in
      Taken(id: image.id, names: Set(image.names).sorted())
    }
  }
}
