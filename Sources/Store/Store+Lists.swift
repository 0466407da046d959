public import Core
internal import Linux

/// Lists of manifests: `lists/`, one document a name.
///
/// What a list names in the store is not collected while the list is there. Who adds to a list holds a lease.
extension Store {
  /// The list called `name`, or nil.
  public func list(_ name: ImageReference) throws -> ManifestList? {
    guard let bytes = try readIfThere(paths.list(name)) else { return nil }
    do {
      return try ManifestList(json: JSON.parse(bytes))
    } catch let failure as Failure {
      throw failure.during("list \(name.familiar)")
    }
  }

  /// All lists, sorted by name; a damaged one is left out: `check` tells of it.
  public func lists() throws -> [ManifestList] {
    try listFiles().compactMap { file in
      try readIfThere("\(paths.lists)/\(file)").flatMap { try? ManifestList(json: JSON.parse($0)) }
    }.sorted { $0.name < $1.name }
  }

  /// Changes the list called `name`, which is nil where there is none; nil afterwards removes it. Of several commands
  /// that change lists one goes after the other.
  @discardableResult
  public func changeList<T>(_ name: ImageReference, _ body: (inout ManifestList?) throws -> T) throws -> T {
    try HostPath.makeDirectories(paths.lists, mode: 0o700)
    let lock = try FileLock.acquire(paths.listLock, .exclusive)
    defer { lock.release() }
    let before = try list(name)
    var list = before
    let result = try body(&list)
    if list == before { return result }
    if let list {
      try replace(paths.list(name), with: list.json.bytes, durable: true)
    } else {
      try HostPath.removeFile(paths.list(name))
    }
    return result
  }

  /// Forgets lists that stood for images of these names: the image `id` has them now, and is not in the list.
  func dropImageLists(_ names: some Sequence<ImageReference>, unlessOf id: Digest) throws {
    for name in names where try HostPath.status(paths.list(name)) != nil {
      try changeList(name) { list in
        if let there = list, there.isOfImage, !there.images.contains(id) { list = nil }
      }
    }
  }

  /// As `resolve`, of the image for `platform`, or of the nearest that runs there: the one that has the name, or one
  /// that is known beside it. Nil where there are images for other platforms only.
  public func resolve(_ text: String, platform: Platform) throws -> StoredImage? {
    let name = (try? ImageReference(text)).flatMap { $0.digest == nil ? $0 : nil }
    var list = try name.flatMap { name in try self.list(name) }
    if list?.isOfImage == false { list = nil }
    var best: (image: StoredImage, distance: Int)?
    let named = list == nil ? try resolve(text) : try? resolve(text)
    if let named, let distance = platform.distance(of: named.config.platform) { best = (named, distance) }
    for id in list?.images ?? [] where best?.distance != 0 {
      guard let image = try image(id), let distance = platform.distance(of: image.config.platform) else { continue }
      if best.map({ distance < $0.distance }) ?? true { best = (image, distance) }
    }
    return best?.image
  }

  /// Remembers that `image` is what `name` means on its platform; another image may have the name.
  public func note(_ image: StoredImage, besideNamed name: ImageReference, _ descriptor: Descriptor) throws {
    var descriptor = descriptor
    descriptor.platform = image.config.platform
    try changeList(name) { [descriptor] list in
      if let list, list.kind == .draft || list.images.contains(image.id) { return }
      let old = list?.kind == .platforms ? list?.entries ?? [] : []
      let others = old.filter { $0.descriptor.platform != descriptor.platform }
      list = ManifestList(
        name: name, entries: others + [.init(descriptor, .store(image: image.id))], kind: .platforms)
    }
  }

  private func listFiles() throws -> [String] {
    guard try HostPath.status(paths.lists) != nil else { return [] }
    return try Directory(paths.lists).entries().map { String(decoding: $0, as: UTF8.self) }
      .filter { $0.hasSuffix(".json") }
  }

  /// What the list keeps: of every manifest in the store its blobs and, of an image, its layers.
  func contents(of list: ManifestList) -> StoreInventory.Contents {
    var contents = StoreInventory.Contents()
    if let document = list.document { contents.blobs.append(document.digest) }
    for entry in list.entries {
      guard case .store(let image) = entry.place else { continue }
      contents.blobs.append(entry.descriptor.digest)
      guard let json = try? JSON.parse(readSmallBlob(entry.descriptor.digest)),
        let manifest = try? ImageManifest(json: json)
      else { continue }
      contents.blobs.append(manifest.config.digest)
      contents.blobs += manifest.layers.map(\.digest)
      if image != nil, let config = try? imageConfig(manifest.config.digest) { contents.layers += config.diffIDs }
    }
    return contents
  }

  /// What is wrong with the lists; with `repair` those that can't be read or lack something are removed.
  func checkLists(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for file in try listFiles() {
      let path = "\(paths.lists)/\(file)"
      guard let bytes = try readIfThere(path) else { continue }
      var name = "lists/\(file)"
      var reason: String?
      if let list = try? ManifestList(json: JSON.parse(bytes)), paths.list(list.name) == path {
        name = "list \(list.name.familiar)"
        reason = try fault(list)
      } else {
        reason = "its document is damaged"
      }
      guard let reason else { continue }
      // Changed since it was read, it is looked at next time.
      if !repair, try readIfThere(path) != bytes { continue }
      if repair { try HostPath.removeFile(path) }
      problems.append(StoreProblem(name, "\(reason): make it again", isRepaired: repair))
    }
    return problems
  }

  private func fault(_ list: ManifestList) throws -> String? {
    if let document = list.document, try !hasBlob(document.digest) { return "its index is missing" }
    for entry in list.entries {
      guard case .store(let image) = entry.place else { continue }
      let digest = entry.descriptor.digest
      guard try hasBlob(digest), let manifest = try? ImageManifest(json: JSON.parse(readSmallBlob(digest))) else {
        return "its manifest \(digest) is missing or damaged"
      }
      for blob in [manifest.config] + manifest.layers where try !hasBlob(blob.digest) {
        return "its blob \(blob.digest) is missing"
      }
      guard image != nil else { continue }
      for diffID in try imageConfig(manifest.config.digest).diffIDs where try layer(diffID) == nil {
        return "its layer \(diffID) is missing"
      }
    }
    return nil
  }
}
