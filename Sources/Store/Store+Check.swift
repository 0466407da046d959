internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Reads everything and tells what is wrong, sorted by kind. With `repair` what can be made again is made again, and
  /// what is damaged removed, so that it can be loaded or built again; throws where another command holds a lease.
  /// Without `repair`, what a running command is just making is passed over.
  public func check(repair: Bool = false) throws -> [StoreProblem] {
    let gate = repair ? try self.gate(.exclusive) : nil
    defer { gate?.release() }
    let oldestLease = try PresenceLock.oldest(paths.lease)
    if repair, oldestLease != nil {
      throw Failure(
        "repair store \(root)", "another stave command is building, loading or running",
        hint: "try again when it has finished")
    }
    // As every command does first; processes of a killed one may have ended since.
    var problems = try Workspace.clean(paths).left.map { name, reason in
      StoreProblem("tmp/\(name)", "a killed command left it behind, and it can't be removed: \(reason)")
    }
    problems += try checkRoot(repair)
    problems += try checkIndex(repair)
    problems += try checkBlobs(repair, oldestLease)
    problems += try checkLayers(repair, oldestLease)
    problems += try checkIndexes(repair)
    problems += try checkImages(repair)
    problems += try checkSteps(repair, oldestLease)
    problems += try checkContainers(repair)
    problems += try checkLists(repair)
    return problems
  }

  /// What stands in the store's directory and is none of its own.
  private func checkRoot(_ repair: Bool) throws -> [StoreProblem] {
    let database = ["state.db", "state.db-wal", "state.db-shm", "state.db-journal"]
    let known = Set(
      database + [
        "blobs", "layers", "stacks", "steps", "containers", "volumes", "tmp", "sandbox", "index.json", "oci-layout",
        "lease", "cache-size", "contexts", "index.pending", "layer-form", "partial", "lists",
      ])
    var problems: [StoreProblem] = []
    for name in try Directory(root).entries().map({ String(decoding: $0, as: UTF8.self) })
    where !known.contains(name) && name.hasSuffix(".tmp") {
      if repair { try HostPath.removeTree("\(root)/\(name)") }
      problems.append(StoreProblem(name, "a killed command left it behind", isRepaired: repair))
    }
    return problems
  }

  private func checkIndex(_ repair: Bool) throws -> [StoreProblem] {
    // Under one gate with who writes both: else the one may be read before and the other after a change.
    let truth = try database().rows()
    if let rows = try? readRows(), rows == truth { return [] }
    if !repair, let rows = try? readRows(), rows == (try database().rows()) { return [] }
    if repair { try database().change(self) { $0.rewriteIndex() } }
    return [StoreProblem("index.json", "it does not say what the database says", isRepaired: repair)]
  }

  private func checkBlobs(_ repair: Bool, _ oldestLease: Timestamp?) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for name in try Directory(paths.blobs).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let path = "\(paths.blobs)/\(name)"
      guard let digest = try? Digest("sha256:\(name)") else {
        if repair { try HostPath.removeTree(path) }
        problems.append(StoreProblem("blobs/sha256/\(name)", "it is no digest", isRepaired: repair))
        continue
      }
      // A collection may have taken it since the names were read.
      guard let found = try Store.hash(path), found != digest else { continue }
      if repair {
        // What was made of the tar came from it when it was whole, but nothing proves it any more.
        if try layer(digest) != nil { try removeLayer(digest) } else { try remove(blob: digest) }
      }
      problems.append(StoreProblem("blob \(digest)", "the content is damaged", isRepaired: repair))
    }
    return problems
  }

  private func checkImages(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for row in try readRows() {
      guard let reason = try fault(row) else { continue }
      if !repair, try !readRows().contains(row) { continue }
      if repair { try database().change(self) { try $0.remove(row.id) } }
      let name = row.tags.first.flatMap { try? ImageReference($0) }?.familiar ?? row.id.text
      problems.append(
        StoreProblem("image \(name)", "\(reason): build, load or import it again", isRepaired: repair))
    }
    return problems
  }

  private func fault(_ row: StateDatabase.Row) throws -> String? {
    guard let image = try? image(row) else { return "its config or manifest is missing or damaged" }
    for diffID in image.config.diffIDs where try layer(diffID) == nil { return "its layer \(diffID) is missing" }
    for layer in image.manifest.layers where try !hasBlob(layer.digest) { return "its blob \(layer.digest) is missing" }
    return nil
  }

  private func checkSteps(_ repair: Bool, _ oldestLease: Timestamp?) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for name in try Directory(paths.steps).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let path = "\(paths.steps)/\(name)"
      guard let key = try? Digest("sha256:" + name.prefix { $0 != "." }) else {
        if repair { try HostPath.removeTree(path) }
        problems.append(StoreProblem("steps/\(name)", "it belongs to no step", isRepaired: repair))
        continue
      }
      guard name.hasSuffix(".json"), !name.hasSuffix(".preimage.json"),
        let status = try HostPath.status(path), oldestLease.map({ status.mtime < $0 }) ?? true
      else { continue }
      let reason: String
      if let record = try stepRecord(key) {
        if try hasLayers(of: record) { continue }
        reason = "its layer is missing"
      } else {
        reason = "its record is damaged"
      }
      // A collection may have taken both meanwhile.
      if !repair, try HostPath.status(path) == nil { continue }
      if repair { try removeStep(key) }
      problems.append(StoreProblem("step \(key)", reason, isRepaired: repair))
    }
    return problems
  }

  private func checkContainers(_ repair: Bool) throws -> [StoreProblem] {
    var problems: [StoreProblem] = []
    for id in try containerIDs() {
      do {
        _ = try container(id: id)
      } catch is Failure {
        guard try HostPath.status(paths.container(id)) != nil else { continue }
        if repair { try removeContainer(id) }
        problems.append(StoreProblem("container \(id.prefix(12))", "its record is damaged", isRepaired: repair))
      }
    }
    return problems
  }

  /// The digest of the file, nil if it is not there.
  static func hash(_ path: String) throws -> Digest? {
    let file: OpenFile
    do {
      file = try OpenFile(path)
    } catch let error as SystemError where error.code == .noEntry {
      return nil
    }
    var hasher = SHA256Hasher()
    try FileSource(file).copy(
      to: ClosureSink { bytes in
        try Task.checkCancellation()
        hasher.update(bytes)
      })
    return hasher.digest()
  }
}
