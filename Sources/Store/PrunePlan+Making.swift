internal import Core

extension PrunePlan {
  /// What a collection of `scope` removes from a store as `inventory` tells of it.
  ///
  /// Besides what the scope says, layers and blobs that nothing needs are always removed. An image that a container
  /// uses or a list names never is; a step record whose layer an image keeps only with `everyStep`; and nothing that
  /// was made or used since the oldest lease began.
  init(_ inventory: StoreInventory, _ scope: Scope, now: Timestamp) {
    let used = Set(inventory.usedImages)
    let unneeded = inventory.images.filter { image in
      guard !used.contains(image.id), !inventory.isLeased(image.lastUsed) else { return false }
      guard scope.unusedImages || (scope.danglingImages && image.names.isEmpty) else { return false }
      guard scope.labels.matches(image.labels) else { return false }
      guard let until = scope.until else { return true }
      return image.created.map { $0 < until } ?? false
    }
    let unneededImages = Set(unneeded.map(\.id))
    let goneLists = inventory.lists.filter { list in
      scope.unusedImages && list.isOfImage && list.images.allSatisfy(unneededImages.contains)
    }
    lists = goneLists.map(\.name)
    let keptLists = inventory.lists.filter { list in !goneLists.contains(list) }
    let listed = Set(keptLists.flatMap(\.images))
    let gone = unneeded.filter { !listed.contains($0.id) }
    images = gone.map { Image(id: $0.id, names: $0.names) }
    let goneImages = Set(images.map(\.id))
    var needed = StoreInventory.Contents(layers: inventory.pinned.layers, blobs: inventory.pinned.blobs)
    for image in inventory.images where !goneImages.contains(image.id) {
      needed.layers += image.contents.layers
      needed.blobs += image.contents.blobs
    }
    for list in keptLists {
      needed.layers += list.contents.layers
      needed.blobs += list.contents.blobs
    }
    var neededLayers = Set(needed.layers)
    let neededBlobs = Set(needed.blobs)
    for layer in inventory.layers where inventory.isLeased(layer.lastUsed) || neededBlobs.contains(layer.digest) {
      neededLayers.insert(layer.digest)
    }

    let cache = CacheSelection(inventory, neededLayers: neededLayers, scope, now: now)
    cacheBefore = cache.sizeBefore
    cacheAfter = cache.sizeAfter
    let layerSizes = Dictionary(inventory.layers.map { ($0.digest, $0.size) }, uniquingKeysWith: { first, _ in first })
    steps = cache.removed.map { index in
      let record = inventory.records[index]
      return Step(
        key: record.key, definitionKey: record.definitionKey, title: record.title,
        size: record.size + (record.layer.flatMap { layerSizes[$0] } ?? 0), cost: record.cost,
        lastUsed: cache.lastUsed[index])
    }
    stepFiles = cache.removed.reduce(0) { $0 + inventory.records[$1].size }
    failedSteps = (scope.buildCache || scope.everyStep) && scope.until == nil
    layers = inventory.layers.filter { !neededLayers.contains($0.digest) && !cache.keptLayers.contains($0.digest) }
      .map { Item(digest: $0.digest, size: $0.size) }
    blobs = inventory.blobs.filter { !neededBlobs.contains($0.digest) && !inventory.isLeased($0.lastUsed) }
      .map { Item(digest: $0.digest, size: $0.size) }
  }
}
