internal import Core
internal import Linux

extension Store {
  /// Removes what `text` names, by Docker's rules.
  ///
  /// A name is taken away; the image goes with its last name. An ID removes the image if all its names are of one
  /// repository, or with `force`. An image that a container uses stays: a stopped container's goes with `force`.
  /// One that a list of manifests names stays too, without its name, and an ID is refused; the name of an image of
  /// several platforms takes the list and the images of all platforms with it.
  /// Layers that neither an image, a container nor a step record needs go with it, but those that were made or used
  /// since the oldest lease began; they wait for `prune`.
  public func removeImage(_ text: String, force: Bool = false) throws -> ImageRemoval {
    let containers = try self.containers()
    let (own, lists) = try lists(of: text)
    var removal = ImageRemoval()
    let gone: StateDatabase.Row? = try database().change(self) { transaction in
      removal = ImageRemoval()
      let (row, byID) = try lookUp(text, transaction.rows())
      let users = containers.filter { $0.image == row.id }
      let running = users.first { $0.state.isRunning }
      if byID {
        let repositories = Set(row.tags.compactMap { try? ImageReference($0).familiarRepository })
        if repositories.count > 1, !force {
          throw conflict(row, "it has names in several repositories: " + names(row).joined(separator: ", "), true)
        }
        if let running { throw conflict(row, "the running container \(running.name) uses it", false) }
        if let user = users.first, !force { throw conflict(row, "the container \(user.name) uses it", true) }
        if let list = lists.first(where: { $0.images.contains(row.id) }), !force {
          throw conflict(row, "the list \(list.name.familiar) names it", true)
        }
        removal.untagged = names(row)
      } else {
        let name = try named(text, row)
        if row.tags.count + row.repoDigests.count > 1, row.tags != [name] {
          removal.untagged = [familiar(name)]
          try transaction.untag(name)
          return nil
        }
        if let user = users.first, !force {
          throw Failure(
            "remove image \(text)", "the container \(user.name) uses it",
            hint: "remove the container first, or force the removal")
        }
        removal.untagged = [name].map(familiar) + row.repoDigests.filter { $0 != name }.map(familiar)
        if !users.isEmpty || lists.contains(where: { $0.images.contains(row.id) }) {
          for name in row.tags + row.repoDigests { try transaction.untag(name) }
          return nil
        }
      }
      removal.deleted = [row.id]
      try transaction.remove(row.id)
      return row
    }
    if let own {
      try changeList(own.name) { if $0?.isOfImage == true { $0 = nil } }
      for image in own.images { removal.deleted += try removeUnnamed(image, but: gone?.id) }
    }
    if let gone {
      // From now on its layers count as build cache, if a step made them.
      try growCacheEstimate(by: gone.size)
      removal.deleted += try collect(remainsOf: gone)
    }
    return removal
  }

  /// The list that stands for the image called `text`, and all other lists.
  private func lists(of text: String) throws -> (own: ManifestList?, others: [ManifestList]) {
    var lists = try self.lists()
    guard let name = try? ImageReference(text), name.digest == nil,
      let at = lists.firstIndex(where: { $0.isOfImage && $0.name == name })
    else { return (nil, lists) }
    return (lists.remove(at: at), lists)
  }

  /// Removes the image of one platform of a list that is gone, unless something else names or uses it; returns what
  /// was deleted.
  private func removeUnnamed(_ id: Digest, but removed: Digest?) throws -> [Digest] {
    guard id != removed, try !containers().contains(where: { $0.image == id }),
      try !lists().contains(where: { $0.images.contains(id) })
    else { return [] }
    let gone: StateDatabase.Row? = try database().change(self) { transaction in
      guard let row = try transaction.rows().first(where: { $0.id == id }), row.tags.isEmpty else { return nil }
      try transaction.remove(id)
      return row
    }
    guard let gone else { return [] }
    try growCacheEstimate(by: gone.size)
    return [id] + (try collect(remainsOf: gone))
  }

  /// Removes the blobs and layers of the image that nothing needs any more; returns the layers, topmost first.
  private func collect(remainsOf row: StateDatabase.Row) throws -> [Digest] {
    let diffIDs = (try? imageConfig(row.id).diffIDs) ?? []
    var blobs: Set<Digest> = [row.id, row.manifest.digest]
    if let manifest = try? ImageManifest(json: JSON.parse(readSmallBlob(row.manifest.digest))) {
      blobs.formUnion(manifest.layers.map(\.digest))
    }
    for diffID in diffIDs { blobs.formUnion(try database().blobs(ofLayer: diffID).map(\.blob)) }
    let own = Set(diffIDs)
    let done = try prune { inventory in
      var plan = PrunePlan(inventory, PrunePlan.Scope(), now: Machine.now())
      plan.layers.removeAll { !own.contains($0.digest) }
      plan.blobs.removeAll { !blobs.contains($0.digest) }
      return plan
    }
    var left = Set(done.layers.map(\.digest))
    return diffIDs.reversed().filter { left.remove($0) != nil }
  }

  func remove(blob: Digest) throws {
    if try database().diffID(ofBlob: blob) != nil { try database().change(self) { try $0.unlink(blob) } }
    try HostPath.removeFile(paths.blob(blob))
  }

  /// The canonical name by which `text` found the row.
  private func named(_ text: String, _ row: StateDatabase.Row) throws -> String {
    let reference = try ImageReference(text)
    guard let digest = reference.digest else { return reference.canonical }
    return "\(reference.registry)/\(reference.repository)@\(digest)"
  }

  private func names(_ row: StateDatabase.Row) -> [String] { (row.tags + row.repoDigests).map(familiar) }

  private func familiar(_ canonical: String) -> String { (try? ImageReference(canonical))?.familiar ?? canonical }

  private func conflict(_ row: StateDatabase.Row, _ reason: String, _ canBeForced: Bool) -> Failure {
    Failure(
      "remove image \(row.id.short)", reason,
      hint: canBeForced ? "force the removal with -f" : "stop the container first")
  }
}
