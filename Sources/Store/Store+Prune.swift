public import Core
public import Linux

extension Store {
  /// What a collection of `scope` would remove now.
  public func prunePlan(_ scope: PrunePlan.Scope, now: Timestamp = Machine.now()) throws -> PrunePlan {
    PrunePlan(try sharing { try inventory(readRows()) }, scope, now: now)
  }

  /// Removes what `scope` covers; returns the plan that was done, with the sizes that came free. Other commands may
  /// work in the store meanwhile: what they use or make is no garbage.
  @discardableResult
  public func prune(_ scope: PrunePlan.Scope, now: Timestamp = Machine.now()) throws -> PrunePlan {
    try prune { PrunePlan($0, scope, now: now) }
  }

  /// Does the plan that `make` makes, with everything that could change it kept out.
  func prune(_ make: (StoreInventory) throws -> PrunePlan) throws -> PrunePlan {
    let gate = try gate(.exclusive)
    defer { gate.release() }
    var plan = try make(inventory(database().rows()))
    let oldestLease = try PresenceLock.oldest(paths.lease)
    for name in plan.lists { try changeList(name) { if $0?.isOfImage == true { $0 = nil } } }
    try removeRows(plan)
    for step in plan.steps { try removeStep(step.key, step.definitionKey) }
    if plan.failedSteps { try removeStrayStepFiles(oldestLease) }
    // Before the layers go: a kill between the two must not leave an index of what is gone.
    try removeStacks(with: Set(plan.layers.map(\.digest)), oldestLease)
    var moved: [(index: Int, path: String)] = []
    for (index, item) in plan.layers.enumerated() {
      if let path = try moveAway(layer: item.digest) { moved.append((index, path)) }
    }
    for item in plan.blobs { try HostPath.removeFile(paths.blob(item.digest)) }
    // What goes wrong here leaves no number: the next build looks.
    try? setCacheEstimate(plan.cacheAfter)
    gate.release()
    for (index, path) in moved {
      do {
        // The blob is gone already, so that the tar counts here.
        let size = try size(ofFilesIn: path)
        try HostPath.removeTree(path)
        plan.layers[index].size = size
      } catch is SystemError {
        // It is out of the store, and `check` tells of what is left.
        plan.layers[index].size = 0
      }
    }
    return plan
  }

  /// Takes images and the links of compressed blobs out of the database.
  private func removeRows(_ plan: PrunePlan) throws {
    if plan.images.isEmpty, plan.blobs.isEmpty { return }
    let links = try database().compressedBlobs().intersection(plan.blobs.map(\.digest))
    if plan.images.isEmpty, links.isEmpty { return }
    try database().change(self) { transaction in
      for image in plan.images { try transaction.remove(image.id) }
      for blob in links.sorted() { try transaction.unlink(blob) }
    }
  }

  /// Removes logs of failed steps, and whatever else belongs to no record and was not made since `oldestLease`.
  private func removeStrayStepFiles(_ oldestLease: Timestamp?) throws {
    let names = try Directory(paths.steps).entries().map { String(decoding: $0, as: UTF8.self) }
    let records = Set(names.filter { $0.utf8.count == 69 && $0.hasSuffix(".json") }.map { $0.dropLast(5) })
    try removeStaleClaims()
    for name in names where !name.hasSuffix(".lock") {
      let path = "\(paths.steps)/\(name)"
      let owner = name.hasSuffix(".alias") ? try aliasTarget(path)[...] : name.prefix { $0 != "." }
      if records.contains(owner) { continue }
      if let oldestLease, let status = try HostPath.status(path, follow: false), status.mtime >= oldestLease {
        continue
      }
      try HostPath.removeTree(path)
    }
  }

  /// The digits of the key to which the alias at `path` leads, "" if it is damaged.
  private func aliasTarget(_ path: String) throws -> String {
    guard let bytes = try readIfThere(path), let key = try? Digest(String(decoding: bytes, as: UTF8.self)) else {
      return ""
    }
    return key.encoded
  }

  /// Bytes of the layer's tar and of everything that was made of it.
  func size(ofLayer diffID: Digest) throws -> Int64 { try size(ofFilesIn: paths.layer(diffID)) }

  private func size(ofFilesIn layer: String) throws -> Int64 {
    let tar = try HostPath.status("\(layer)/tar")
    var rest = TreeSize(passingOver: tar.map { [$0.inode] } ?? [])
    try rest.add(layer)
    // With its second name gone the tar was counted by its blocks.
    return rest.allocated + (tar.map { $0.linkCount > 1 ? $0.size : $0.size - $0.allocated } ?? 0)
  }
}
