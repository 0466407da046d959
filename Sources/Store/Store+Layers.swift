public import Core
internal import FileTree
internal import Linux

extension Store {
  /// The layer `diffID`, or nil if the store does not have it.
  public func layer(_ diffID: Digest) throws -> Layer? {
    guard diffID.algorithm == "sha256", let status = try HostPath.status(paths.tar(diffID)) else { return nil }
    return Layer(diffID: diffID, size: status.size)
  }

  /// The path of the layer's tar.
  public func tarPath(_ diffID: Digest) throws -> String {
    guard try layer(diffID) != nil else { throw noLayer(diffID) }
    return paths.tar(diffID)
  }

  /// Makes the blob `diffID`, an uncompressed tar, a layer.
  public func adoptBlobAsLayer(_ diffID: Digest) throws -> Layer {
    try sharing { try linkLayer(diffID) }
  }

  /// As `adoptBlobAsLayer`; under the gate.
  func linkLayer(_ diffID: Digest) throws -> Layer {
    let blob = try paths.blob(diffID)
    guard let status = try HostPath.status(blob), try markUsed(blob, status) else {
      throw Failure("open blob \(diffID)", "the store does not have it")
    }
    do {
      try HostPath.link(blob, to: paths.tar(diffID))
    } catch let error as SystemError where error.code == .noEntry {
      try makeLayerDirectory(diffID, blob)
    } catch let error as SystemError where error.code == .exists {
      // The link of a blob that was damaged and replaced still names the old file.
      if let there = try HostPath.status(paths.tar(diffID)), there.inode != status.inode {
        let temporary = try temporaryPath("layer")
        try HostPath.link(blob, to: temporary)
        try HostPath.rename(temporary, to: paths.tar(diffID))
      }
    }
    return Layer(diffID: diffID, size: status.size)
  }

  /// Makes the directory of the layer with its tar in it, at once: a kill leaves none without.
  private func makeLayerDirectory(_ diffID: Digest, _ blob: String) throws {
    let temporary = try makeTemporaryDirectory("layer", mode: 0o700)
    try HostPath.link(blob, to: "\(temporary)/tar")
    do {
      try HostPath.rename(temporary, to: paths.layer(diffID))
    } catch let error as SystemError where error.code == .notEmpty || error.code == .exists {
      // Another command was first.
      try HostPath.removeTree(temporary)
    }
  }

  /// The diffID of a layer without entries: two blocks of zeros.
  public static let emptyDiffID = Digest.sha256([UInt8](repeating: 0, count: 1024))

  /// The layer without entries, made if the store does not have it.
  public func emptyLayer() throws -> Digest {
    if try hasBlob(Store.emptyDiffID), let layer = try? adoptBlobAsLayer(Store.emptyDiffID) { return layer.diffID }
    return try layerWriter().commit().diffID
  }

  /// The layer's unpacked tree for an overlay's lower: whiteouts as 0/0 character devices, opaque directories marked
  /// by `trusted.overlay.opaque`. It is made on the first call, once, whoever calls. `lowers` are the layers below it,
  /// lowest first, where hard links of foreign layers may lead.
  public func treePath(_ diffID: Digest, lowers: [Digest] = []) throws -> String {
    let tree = paths.tree(diffID)
    if try HostPath.status(tree, follow: false) != nil { return tree }
    guard try layer(diffID) != nil else { throw noLayer(diffID) }
    // Before the lock: a layer may stand twice in a stack, and so below itself.
    let lowers = try lowers.indices.filter { lowers[$0] != diffID }.map { at in
      try treePath(lowers[at], lowers: Array(lowers[..<at]))
    }
    let lock = try FileLock.acquire("\(paths.layer(diffID))/lock", .exclusive)
    defer { lock.release() }
    if try HostPath.status(tree, follow: false) != nil { return tree }
    let temporary = try makeTemporaryDirectory("tree")
    do {
      try unpack(diffID, into: temporary, lowers: lowers)
      try HostPath.rename(temporary, to: tree)
    } catch {
      try? HostPath.removeTree(temporary)
      throw error
    }
    return tree
  }

  /// The unpacked trees of a stack of layers (lowest first), topmost first, down to one that hides all below it, each
  /// once: overlayfs refuses a lower that is given twice. All that the lower one of two equal layers shows, the upper
  /// one shows too.
  public func trees(of diffIDs: [Digest]) throws -> [String] {
    var out: [String] = []
    for place in distinct(diffIDs) {
      let tree = try treePath(diffIDs[place], lowers: Array(diffIDs[..<place]))
      out.append(tree)
      if try TreeLayer(Directory(tree)).hidesAllBelow { break }
    }
    return out
  }

  /// Whether the layer has an unpacked tree already.
  public func hasTree(_ diffID: Digest) throws -> Bool {
    try HostPath.status(paths.tree(diffID), follow: false) != nil
  }

  /// Makes `directory`, which has the layer's content in the form of `treePath`, its tree by renaming; it must be on
  /// the store's file system. Where the layer has a tree already, `directory` stays as it is: someone may look at it.
  /// Returns the path that `directory` has now, or nil if it stayed.
  @discardableResult
  public func adoptTree(_ diffID: Digest, from directory: String) throws -> String? {
    guard try layer(diffID) != nil else { throw noLayer(diffID) }
    let tree = paths.tree(diffID)
    let lock = try FileLock.acquire("\(paths.layer(diffID))/lock", .exclusive)
    defer { lock.release() }
    if try HostPath.status(tree, follow: false) != nil { return nil }
    try HostPath.rename(directory, to: tree)
    return tree
  }

  /// Removes the layer, all that was made of it, and its blob.
  func removeLayer(_ diffID: Digest) throws {
    try removeStacks(with: [diffID], PresenceLock.oldest(paths.lease))
    if let moved = try moveAway(layer: diffID) { try HostPath.removeTree(moved) }
  }

  /// Takes the layer out of the store at once, whatever its size: a reader sees all or nothing. Returns where what is
  /// left of it waits for its removal, below the temporary directory.
  func moveAway(layer diffID: Digest) throws -> String? {
    openLayers.drop(diffID)
    let temporary = try temporaryPath("gone")
    do {
      try HostPath.rename(paths.layer(diffID), to: temporary)
    } catch let error as SystemError where error.code == .noEntry {
      try HostPath.removeFile(paths.blob(diffID))
      return nil
    }
    try HostPath.removeFile(paths.blob(diffID))
    return temporary
  }

  func noLayer(_ diffID: Digest) -> Failure {
    Failure("open layer \(diffID)", "the store does not have it", hint: "run \"stave system check\"")
  }

  /// Every layer directory's diffID, sorted.
  func layerIDs() throws -> [Digest] {
    try Directory(paths.layers).entries().compactMap { try? Digest("sha256:" + String(decoding: $0, as: UTF8.self)) }
  }

  /// Every blob's digest, sorted.
  func blobDigests() throws -> [Digest] {
    try Directory(paths.blobs).entries().compactMap { try? Digest("sha256:" + String(decoding: $0, as: UTF8.self)) }
  }
}
