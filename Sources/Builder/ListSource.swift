public import Core
public import Registry
public import Store

/// Finds the manifests that a list is to have: in the store, else in their registry. Calls block.
public struct ListSource: Sendable {
  private let store: Store
  private let client: RegistryClient

  public init(store: Store, client: RegistryClient) {
    self.store = store
    self.client = client
  }

  /// The manifest that `text` names, or with `all` those of the list that it names. `docker://` in front asks the
  /// registry only, `containers-storage:` the store only. Throws `no such manifest`, or that it is a list.
  public func entries(_ text: String, all: Bool) throws -> [ManifestList.Entry] {
    let remote = "docker://"
    let local = "containers-storage:"
    if text.hasPrefix(remote) { return try remoteEntries(String(text.dropFirst(remote.count)), all: all) }
    let name = text.hasPrefix(local) ? String(text.dropFirst(local.count)) : text
    if let found = try localEntries(name, all: all) { return found }
    guard !text.hasPrefix(local), let reference = try? ImageReference(text) else {
      throw Failure("", "no such manifest: \(text)")
    }
    return try remoteEntries(reference.canonical, all: all)
  }

  /// The digest of the manifest of `list` that `text` names: by digest, or as it was added. Throws if it has none.
  public func digest(_ text: String, in list: ManifestList) throws -> Digest {
    if let digest = try? Digest(text), list.entries.contains(where: { $0.descriptor.digest == digest }) {
      return digest
    }
    if let digest = try? ImageReference(text).digest,
      list.entries.contains(where: { $0.descriptor.digest == digest })
    {
      return digest
    }
    let found = (try? entries(text, all: true)) ?? []
    for entry in found where list.entries.contains(where: { $0.descriptor.digest == entry.descriptor.digest }) {
      return entry.descriptor.digest
    }
    // Its manifest may have changed since: the image counts.
    for entry in found {
      guard case .store(let image?) = entry.place else { continue }
      if let same = list.entries.first(where: { $0.place == .store(image: image) }) { return same.descriptor.digest }
    }
    throw Failure("", "manifest for image \(text) does not exist in \(list.name.familiar)")
  }

  /// Nil where the store has nothing of the name.
  private func localEntries(_ text: String, all: Bool) throws -> [ManifestList.Entry]? {
    if let name = try? ImageReference(text), name.digest == nil, let list = try store.list(name) {
      guard all else { throw ListSource.isList(text) }
      return list.entries
    }
    guard let image = try? store.resolve(text) else { return nil }
    return [try ListSource.entry(image, store)]
  }

  /// The entry for an image of the store.
  public static func entry(_ image: StoredImage, _ store: Store) throws -> ManifestList.Entry {
    guard let size = try store.blobSize(image.manifestDigest) else {
      throw Failure("read image \(image.id.short)", "its manifest is missing", hint: "run \"stave system check\"")
    }
    return ManifestList.Entry(
      Descriptor(
        mediaType: image.manifest.mediaType, digest: image.manifestDigest, size: size,
        platform: platform(image.config)),
      .store(image: image.id))
  }

  /// What a list says of an image with `config`.
  static func platform(_ config: ImageConfig) -> Platform {
    var platform = config.platform
    platform.osVersion = config.osVersion
    platform.osFeatures = config.osFeatures
    return platform
  }

  private static func isList(_ text: String) -> Failure {
    Failure("", "\(text) is a manifest list", hint: "--all adds every image of it")
  }

  private func remoteEntries(_ text: String, all: Bool) throws -> [ManifestList.Entry] {
    let reference = try ImageReference(text)
    guard try client.find(reference) != nil else { throw Failure("", "no such manifest: \(reference.familiar)") }
    let found = try client.manifest(reference)
    let place = ManifestList.Place.registry(try reference.repositoryName)
    switch try PulledManifest(found.bytes, mediaType: found.descriptor.mediaType) {
    case .index(let index):
      guard all else { throw ListSource.isList(reference.familiar) }
      guard !index.manifests.contains(where: { PulledManifest.isIndex($0.mediaType) }) else {
        throw Failure.notSupportedYet("a list of lists, \(reference.familiar)")
      }
      return index.manifests.map { ManifestList.Entry($0, place) }
    case .image(let manifest):
      var descriptor = found.descriptor
      descriptor.platform = try platform(manifest.config, of: reference)
      return [ManifestList.Entry(descriptor, place)]
    }
  }

  /// The platform that the image's config tells; nil for what is no image.
  private func platform(_ config: Descriptor, of reference: ImageReference) throws -> Platform? {
    guard [MediaType.ociConfig, MediaType.dockerConfig].contains(config.mediaType),
      config.size <= ImageArchive.maximumDocument
    else { return nil }
    var bytes: [UInt8] = []
    try client.blob(config, of: reference) { bytes += $0 }
    guard Digest.sha256(bytes) == config.digest else {
      throw Failure("read blob \(config.digest.short)", "the content does not match")
    }
    return (try? ImageConfig(json: JSON.parse(bytes))).map(ListSource.platform)
  }
}

extension PulledManifest {
  static func isIndex(_ mediaType: String) -> Bool {
    mediaType == MediaType.ociIndex || mediaType == MediaType.dockerList
  }
}

extension ImageReference {
  /// The repository alone: a name without a digest that stands for it.
  var repositoryName: ImageReference {
    get throws { try ImageReference("\(registry)/\(repository)") }
  }
}
