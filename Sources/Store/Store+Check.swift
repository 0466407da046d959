internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Reads everything and tells what is wrong, sorted by kind. With `repair` what can be made again is made again, and
  /// what is damaged removed, so that it can be loaded or built again; throws where another command holds a lease.
  /// What a running command is just making, and what was taken away since it was found, is passed over; what a running
  /// container uses is told and stays.
  public func check(repair: Bool = false) throws -> [StoreProblem] {
    let oldestLease = try PresenceLock.oldest(paths.lease)
    if repair, oldestLease != nil {
      throw Failure(
        "repair store \(root)", "another stave command is building or loading",
        hint: "try again when it has finished")
    }
    // As every command does first; processes of a killed one may have ended since.
    var problems = try removeLeftovers().map { name, reason in
      StoreProblem("tmp/\(name)", "a killed command left it behind, and it can't be removed: \(reason)")
    }
    problems += try checkRoot(repair)
    problems += try checkIndex(repair)
    problems += try checkBlobs(repair)
    problems += try checkLayers(repair, oldestLease)
    problems += try checkIndexes(repair)
    problems += try checkImages(repair)
    problems += try checkSteps(repair, oldestLease)
    problems += try checkContainers(repair)
    problems += try checkLists(repair)
    return problems
  }

  /// The problem of `object` that `fault` finds, nil if it finds none; with `repair` what `mend` then mends, unless a
  /// running container has the layer `layer` below it.
  ///
  /// The first look is taken beside running commands, since it may read gigabytes. What it finds is looked at again
  /// while nothing is collected, or with `repair` while nobody uses the store.
  func examine(
    _ object: String, _ repair: Bool, layer: Digest? = nil, fault: () throws -> String?, mend: () throws -> Void
  ) throws -> StoreProblem? {
    if try fault() == nil { return nil }
    guard repair else { return try sharing(fault).map { StoreProblem(object, $0) } }
    let gate = try gate(.exclusive)
    defer { gate.release() }
    guard let reason = try fault() else { return nil }
    if try PresenceLock.oldest(paths.lease) != nil {
      return StoreProblem(object, "\(reason); another command that may use it has begun")
    }
    if let layer, let user = try runningUser(of: layer) {
      return StoreProblem(object, "\(reason); the running container \(user) uses it")
    }
    try mend()
    return StoreProblem(object, reason, isRepaired: true)
  }

  /// The name of a running container whose image has the layer, or can't say whether; nil if there is none.
  private func runningUser(of diffID: Digest) throws -> String? {
    try containers().first { container in
      guard container.state.isRunning, let image = container.image else { return false }
      return try Store.unlessDamaged { try imageConfig(image).diffIDs.contains(diffID) } ?? true
    }?.name
  }

  /// What stands in the store's directory and is none of its own.
  private func checkRoot(_ repair: Bool) throws -> [StoreProblem] {
    let database = ["state.db", "state.db-wal", "state.db-shm", "state.db-journal"]
    let known = Set(
      database + [
        "blobs", "layers", "stacks", "steps", "containers", "volumes", "tmp", "sandbox", "index.json", "oci-layout",
        "lease", "cache-size", "contexts", "index.pending", "layer-form", "partial", "lists",
      ])
    return try Directory(root).entries().map({ String(decoding: $0, as: UTF8.self) })
      .filter { !known.contains($0) && $0.hasSuffix(".tmp") }
      .compactMap { try checkStray("\(root)/\($0)", $0, "a killed command left it behind", repair) }
  }

  /// Something at `path` that no store has.
  func checkStray(_ path: String, _ name: String, _ reason: String, _ repair: Bool) throws -> StoreProblem? {
    try examine(name, repair) {
      try HostPath.status(path, follow: false) == nil ? nil : reason
    } mend: {
      try HostPath.removeTree(path)
    }
  }

  private func checkIndex(_ repair: Bool) throws -> [StoreProblem] {
    // Twice: who reads the one before a change and the other after it sees two things.
    func isTrue() throws -> Bool { try Store.unlessDamaged { try readRows() } == database().rows() }
    if try isTrue() || isTrue() { return [] }
    if repair { try database().change(self) { $0.rewriteIndex() } }
    return [StoreProblem("index.json", "it does not say what the database says", isRepaired: repair)]
  }

  private func checkBlobs(_ repair: Bool) throws -> [StoreProblem] {
    try Directory(paths.blobs).entries().map({ String(decoding: $0, as: UTF8.self) }).compactMap { name in
      let path = "\(paths.blobs)/\(name)"
      guard let digest = try? Digest("sha256:\(name)") else {
        return try checkStray(path, "blobs/sha256/\(name)", "it is no digest", repair)
      }
      return try examine("blob \(digest)", repair, layer: digest) {
        try Store.hash(path).flatMap { $0 == digest ? nil : "the content is damaged" }
      } mend: {
        // What was made of the tar came from it when it was whole, but nothing proves it any more.
        if try layer(digest) != nil { try removeLayer(digest) } else { try remove(blob: digest) }
      }
    }
  }

  private func checkImages(_ repair: Bool) throws -> [StoreProblem] {
    try readRows().compactMap { row in
      let name = row.tags.first.flatMap { try? ImageReference($0) }?.familiar ?? row.id.text
      return try examine("image \(name)", repair) {
        guard let reason = try fault(row), try readRows().contains(row) else { return nil }
        return "\(reason): build, load or import it again"
      } mend: {
        try database().change(self) { try $0.remove(row.id) }
      }
    }
  }

  private func fault(_ row: StateDatabase.Row) throws -> String? {
    guard let image = try Store.unlessDamaged({ try image(row) }) else {
      return "its config or manifest is missing or damaged"
    }
    for diffID in image.config.diffIDs where try layer(diffID) == nil { return "its layer \(diffID) is missing" }
    for layer in image.manifest.layers where try !hasBlob(layer.digest) { return "its blob \(layer.digest) is missing" }
    return nil
  }

  private func checkSteps(_ repair: Bool, _ oldestLease: Timestamp?) throws -> [StoreProblem] {
    try Directory(paths.steps).entries().map({ String(decoding: $0, as: UTF8.self) }).compactMap { name in
      let path = "\(paths.steps)/\(name)"
      guard let key = try? Digest("sha256:" + name.prefix { $0 != "." }) else {
        return try checkStray(path, "steps/\(name)", "it belongs to no step", repair)
      }
      guard name.hasSuffix(".json") else { return nil }
      return try examine("step \(key)", repair) {
        guard let status = try HostPath.status(path), oldestLease.map({ status.mtime < $0 }) ?? true else { return nil }
        guard let record = try stepRecord(key) else { return "its record is damaged" }
        return try hasLayers(of: record) ? nil : "its layer is missing"
      } mend: {
        try removeStep(key)
      }
    }
  }

  private func checkContainers(_ repair: Bool) throws -> [StoreProblem] {
    try containerIDs().compactMap { id in
      try examine("container \(id.prefix(12))", repair) {
        if try Store.unlessDamaged({ try container(id: id) }) != nil { return nil }
        return try HostPath.status(paths.container(id)) == nil ? nil : "its record is damaged"
      } mend: {
        try removeContainer(id)
      }
    }
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
