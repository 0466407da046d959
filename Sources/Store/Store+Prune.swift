internal import Core
internal import Linux

extension Store {
  /// What is in use: the roots are images, containers and step records.
  struct Reachable {
    var layers: Set<Digest> = []
    /// Config, manifest and layer blobs; not the tars, which `layers` says.
    var blobs: Set<Digest> = []
  }

  /// Everything that can be reached but from `images` and `steps`, which are treated as gone.
  func reachable(withoutImages images: Set<Digest> = [], withoutSteps steps: Set<Digest> = []) throws -> Reachable {
    var out = Reachable()
    for row in try readRows() where !images.contains(row.id) {
      out.blobs.insert(row.id)
      out.blobs.insert(row.manifest.digest)
      if let image = try? image(row) {
        out.layers.formUnion(image.config.diffIDs)
        out.blobs.formUnion(image.manifest.layers.map(\.digest))
      } else if let config = try? imageConfig(row.id) {
        out.layers.formUnion(config.diffIDs)
      }
    }
    for id in try containerIDs() {
      guard let image = try? container(id: id).image else { continue }
      out.blobs.insert(image)
      if let config = try? imageConfig(image) { out.layers.formUnion(config.diffIDs) }
    }
    for record in try self.steps() where !steps.contains(record.key) {
      if let diffID = record.resultDiffID { out.layers.insert(diffID) }
    }
    return out
  }

  /// What a collection of `scope` would remove now. Besides what the scope says, layers and blobs that nothing needs
  /// are always removed. An image that a container uses never is; a step record whose layer an image keeps only goes
  /// with `everyStep`.
  public func prunePlan(_ scope: PrunePlan.Scope) throws -> PrunePlan {
    var plan = PrunePlan()
    let used = Set(try containers().compactMap(\.image))
    for row in try readRows() where !used.contains(row.id) {
      let isDangling = row.tags.isEmpty && row.repoDigests.isEmpty
      guard scope.unusedImages || (scope.danglingImages && isDangling) else { continue }
      if let until = scope.until {
        guard let created = try? imageConfig(row.id).created, created < until else { continue }
      }
      let names = (row.tags + row.repoDigests).map { (try? ImageReference($0))?.familiar ?? $0 }
      plan.images.append(PrunePlan.Image(id: row.id, names: names))
    }
    let goneImages = Set(plan.images.map(\.id))
    if scope.buildCache || scope.everyStep {
      let records = try steps()
      let kept = try reachable(withoutImages: goneImages, withoutSteps: Set(records.map(\.key))).layers
      plan.steps = records.filter { record in
        if let until = scope.until, record.started >= until { return false }
        return scope.everyStep || record.resultDiffID.map { !kept.contains($0) } ?? true
      }.map(\.key).sorted()
    }
    let reachable = try reachable(withoutImages: goneImages, withoutSteps: Set(plan.steps))
    let layers = Set(try layerIDs())
    for diffID in layers.sorted() where !reachable.layers.contains(diffID) {
      plan.layers.append(PrunePlan.Item(digest: diffID, size: try size(ofLayer: diffID)))
    }
    for digest in try blobDigests() where !reachable.blobs.contains(digest) && !layers.contains(digest) {
      plan.blobs.append(PrunePlan.Item(digest: digest, size: try blobSize(digest) ?? 0))
    }
    return plan
  }

  /// Removes what `scope` covers; returns the plan that was done. Throws where another command holds a lease, since
  /// what that command works on can't be told from garbage.
  @discardableResult
  public func prune(_ scope: PrunePlan.Scope) throws -> PrunePlan {
    guard let lease = try FileLock.attempt(paths.lease, .exclusive) else {
      throw Failure(
        "prune", "another stave command is building, loading or running", hint: "try again when it has finished")
    }
    defer { lease.release() }
    let plan = try prunePlan(scope)
    let gone = Set(plan.images.map(\.id))
    if !gone.isEmpty {
      try database().change(self) { transaction in
        for id in gone.sorted() { try transaction.remove(id) }
      }
    }
    for key in plan.steps { try removeStep(key) }
    if scope.until == nil, scope.buildCache || scope.everyStep { try removeStrayStepFiles() }
    for item in plan.layers { try removeLayer(item.digest) }
    for item in plan.blobs { try remove(blob: item.digest) }
    return plan
  }

  /// Bytes of the layer's tar and, if it has one, its tree.
  func size(ofLayer diffID: Digest) throws -> Int64 {
    var counted: Set<UInt64> = []
    let tree = try hasTree(diffID) ? allocated(Directory(paths.tree(diffID)), &counted) : 0
    return (try layer(diffID)?.size ?? 0) + tree
  }

  /// Bytes that the files below `directory` take on disk, a file with several names once.
  func allocated(_ directory: Directory, _ counted: inout Set<UInt64>) throws -> Int64 {
    var total: Int64 = 0
    for name in try directory.entries() {
      let status = try directory.entryStatus(name)
      if status.linkCount > 1, status.kind != .directory, !counted.insert(status.inode).inserted { continue }
      total += status.allocated
      if status.kind == .directory {
        total += try allocated(directory.directory(TreePath.root.child(name)), &counted)
      }
    }
    return total
  }
}
