internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Reads everything and tells what is wrong, sorted by kind. With `repair` what is damaged is removed, so that it
  /// can be loaded or built again, and throws where another command holds a lease.
  public func check(repair: Bool = false) throws -> [StoreProblem] {
    var lease: FileLock?
    if repair {
      lease = try FileLock.attempt(paths.lease, .exclusive)
      guard lease != nil else {
        throw Failure(
          "repair store \(root)", "another stave command is building, loading or running",
          hint: "try again when it has finished")
      }
    }
    defer { lease?.release() }
    var problems = try Workspace.clean(paths).map {
      StoreProblem("tmp/\($0)", "a killed command left it behind", isRepaired: true)
    }
    problems += try checkIndex(repair)
    problems += try checkBlobs(repair)
    problems += try checkLayers(repair)
    problems += try checkImages(repair)
    problems += try checkSteps(repair)
    for id in try containerIDs() {
      do {
        _ = try container(id: id)
      } catch {
        problems.append(StoreProblem("container \(id.prefix(12))", "its record is damaged"))
      }
    }
    return problems
  }

  private func checkIndex(_ repair: Bool) throws -> [StoreProblem] {
    let truth = try database().rows()
    if let rows = try? readRows(), rows == truth { return [] }
    if repair { try writeIndex(truth) }
    return [StoreProblem("index.json", "it does not say what the database says", isRepaired: repair)]
  }

  private func checkBlobs(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for name in try Directory(paths.blobs).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let path = "\(paths.blobs)/\(name)"
      guard let digest = try? Digest("sha256:\(name)") else {
        if repair { try HostPath.removeTree(path) }
        problems.append(StoreProblem("blobs/sha256/\(name)", "it is no digest", isRepaired: repair))
        continue
      }
      guard try Store.hash(path) != digest else { continue }
      if repair {
        // The tree came from the tar when that was whole, but nothing proves it any more.
        if try layer(digest) != nil { try removeLayer(digest) } else { try remove(blob: digest) }
      }
      problems.append(StoreProblem("blob \(digest)", "the content is damaged", isRepaired: repair))
    }
    return problems
  }

  private func checkLayers(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for diffID in try layerIDs() {
      var reason: String?
      let tar = try HostPath.status(paths.tar(diffID))
      let blob = try HostPath.status(paths.blob(diffID))
      if tar == nil {
        reason = "it has no tar"
      } else if blob == nil || tar?.inode != blob?.inode {
        reason = "its tar is not the blob of that name"
      }
      guard let reason else { continue }
      var isRepaired = false
      if repair {
        isRepaired = true
        if blob != nil, tar != nil {
          _ = try adoptBlobAsLayer(diffID)
        } else if tar != nil, try Store.hash(paths.tar(diffID)) == diffID {
          try HostPath.link(paths.tar(diffID), to: paths.blob(diffID))
        } else {
          try removeLayer(diffID)
        }
      }
      problems.append(StoreProblem("layer \(diffID)", reason, isRepaired: isRepaired))
    }
    return problems
  }

  private func checkImages(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for row in try readRows() {
      guard let reason = try fault(row) else { continue }
      if repair { try database().change(self) { try $0.remove(row.id) } }
      let name = row.tags.first.flatMap { try? ImageReference($0) }?.familiar ?? row.id.text
      problems.append(StoreProblem("image \(name)", reason, isRepaired: repair))
    }
    return problems
  }

  private func fault(_ row: StateDatabase.Row) throws -> String? {
    guard let image = try? image(row) else { return "its config or manifest is missing or damaged" }
    for diffID in image.config.diffIDs where try layer(diffID) == nil { return "its layer \(diffID) is missing" }
    for layer in image.manifest.layers where try !hasBlob(layer.digest) { return "its blob \(layer.digest) is missing" }
    return nil
  }

  private func checkSteps(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for name in try Directory(paths.steps).entries().map({ String(decoding: $0, as: UTF8.self) })
    where name.hasSuffix(".json") && !name.hasSuffix(".preimage.json") {
      guard let key = try? Digest("sha256:" + name.dropLast(5)) else { continue }
      let reason: String
      if try stepRecord(key) == nil {
        reason = "its record is damaged"
      } else if try step(forKey: key) == nil {
        reason = "its layer is missing"
      } else {
        continue
      }
      if repair { try removeStep(key) }
      problems.append(StoreProblem("step \(key)", reason, isRepaired: repair))
    }
    return problems
  }

  private static func hash(_ path: String) throws -> Digest {
    var hasher = SHA256Hasher()
    try FileSource(OpenFile(path)).copy(to: ClosureSink { hasher.update($0) })
    return hasher.digest()
  }
}
