public import Core
public import FileTree
internal import Linux

/// A layer without a tree, by what its tar and index say: `layers/<diffID>/index` is made while the tar is written or
/// read, and made again from the tar where it is missing or damaged. A layer that no index can serve (`needs-tree` says
/// why) is unpacked instead.
extension Store {
  /// The layer `diffID` to look into, by its index, else unpacked above `lowers`, the layers below it, lowest first.
  public func layerView(_ diffID: Digest, lowers: [Digest] = []) throws -> any LayerView {
    if let layer = try indexLayer(diffID) { return layer }
    return TreeLayer(try Directory(treePath(diffID, lowers: lowers)))
  }

  /// The layer's index with its tar; nil if it needs a tree. An index that is missing or damaged is made first.
  func indexLayer(_ diffID: Digest) throws -> IndexLayer? {
    if let known = openLayers.layer(diffID) { return known }
    guard try layer(diffID) != nil else { throw noLayer(diffID) }
    if let found = try openIndex(diffID) { return found }
    if try HostPath.status(paths.needsTree(diffID)) != nil { return nil }
    let lock = try FileLock.acquire("\(paths.layer(diffID))/lock", .exclusive)
    defer { lock.release() }
    if let found = try openIndex(diffID) { return found }
    try makeIndex(diffID)
    return try openIndex(diffID)
  }

  /// Opens the layer's index if there is a sound one.
  private func openIndex(_ diffID: Digest) throws -> IndexLayer? {
    guard let index = try soundIndex(paths.layerIndex(diffID)) else { return nil }
    guard let layer = try? IndexLayer(index, tars: [paths.tar(diffID)]) else { return nil }
    openLayers.keep(layer, diffID)
    return layer
  }

  /// The index at `path`; nil if there is none or a damaged one.
  ///
  /// An index is not synced when it is made, so what a crash of the machine left is found by its checksum: on the first
  /// use after each boot. Its time then says so.
  func soundIndex(_ path: String) throws -> LayerIndex? {
    guard let status = try HostPath.status(path) else { return nil }
    do {
      let file = try OpenFile(path)
      let index = try LayerIndex(MappedFile(file))
      if status.mtime < Machine.bootTime {
        try index.verify()
        // Who can't say so verifies again.
        try? file.setModified(Machine.now())
      }
      return index
    } catch is Failure {
      return nil
    } catch let error as SystemError where error.code == .noEntry {
      return nil
    }
  }

  /// Makes the layer's index from its tar, or the mark that it needs a tree. Under the layer's lock.
  private func makeIndex(_ diffID: Digest) throws {
    let builder = IndexFeed()
    let tar = try OpenFile(paths.tar(diffID))
    try builder.readAll(TarReader(FileSource(tar)))
    try HostPath.removeFile(paths.layerIndex(diffID))
    try place(builder.finish(tarSize: tar.status().size), for: diffID)
  }

  /// Keeps what `IndexFeed` made of the layer's tar beside it.
  func place(_ made: IndexFeed.Outcome, for diffID: Digest) throws {
    switch made {
    case .needsTree(let reason):
      try replace(paths.needsTree(diffID), with: Array("\(reason)\n".utf8), durable: false)
    case .index(let tree, let tarSize):
      // One that is there says the same, or is damaged and made again on use.
      if try HostPath.status(paths.layerIndex(diffID)) != nil { return }
      try writeIndex(tree, devices: [tarSize], to: paths.layerIndex(diffID))
    }
  }

  /// Writes an index whole or not at all; a crash of the machine may leave a damaged one.
  func writeIndex(_ tree: IndexTree, devices: [Int64], to path: String) throws {
    let temporary = try temporaryPath("index")
    do {
      let file = try OpenFile(temporary, .create, permissions: 0o400)
      try ErofsWriter.write(tree, devices: devices, into: file)
      try HostPath.rename(temporary, to: path)
    } catch {
      try? HostPath.removeFile(temporary)
      throw error
    }
  }
}
