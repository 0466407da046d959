internal import Core
internal import Linux

extension Store {
  /// What takes how much space, object by object. A layer of several images counts once in the sums; one of an image
  /// and of the cache is the image's.
  public func usage() throws -> StoreUsage {
    let inventory = try sharing { try self.inventory(readRows()) }
    var usage = StoreUsage()
    let sizes = Dictionary(
      uniqueKeysWithValues: try inventory.layers.map { ($0.digest, try size(ofLayer: $0.digest)) })
    usage.images = images(inventory, sizes)
    let containers = try self.containers()
    for container in containers {
      let size = try TreeSize(of: paths.container(container.id)).allocated
      usage.containers.append(StoreUsage.Container(record: container, size: size))
    }
    usage.volumes = try Directory(paths.volumes).entries().map { name in
      let name = String(decoding: name, as: UTF8.self)
      return StoreUsage.Volume(name: name, size: try TreeSize(of: "\(paths.volumes)/\(name)").allocated)
    }

    let used = Set(inventory.usedImages)
    func objects(_ images: [StoreInventory.Image]) -> Set<Digest> {
      Set(images.flatMap { $0.contents.layers + $0.contents.blobs })
    }
    let all = objects(inventory.images).union(inventory.pinned.layers).union(inventory.pinned.blobs)
    let kept = objects(inventory.images.filter { used.contains($0.id) })
      .union(inventory.pinned.layers).union(inventory.pinned.blobs)
    let blobSizes = inventory.blobs.map { ($0.digest, $0.size) }
    for (digest, size) in sizes.map({ ($0.key, $0.value) }) + blobSizes where all.contains(digest) {
      usage.imageBytes += size
      if !kept.contains(digest) { usage.reclaimableImageBytes += size }
    }
    // Merged indexes serve images and containers, and are made again when they are needed.
    usage.imageBytes += try TreeSize(of: paths.stacks).allocated
    addCache(inventory, sizes, inImages: all, &usage)
    return usage
  }

  private func images(_ inventory: StoreInventory, _ sizes: [Digest: Int64]) -> [StoreUsage.Image] {
    var holders: [Digest: Int] = [:]
    for image in inventory.images { for layer in Set(image.contents.layers) { holders[layer, default: 0] += 1 } }
    return inventory.images.map { image in
      var row = StoreUsage.Image(id: image.id)
      for layer in Set(image.contents.layers) {
        let size = sizes[layer] ?? 0
        if (holders[layer] ?? 0) > 1 { row.sharedSize += size } else { row.uniqueSize += size }
      }
      return row
    }
  }

  private func addCache(
    _ inventory: StoreInventory, _ sizes: [Digest: Int64], inImages: Set<Digest>, _ usage: inout StoreUsage
  ) {
    let lastUsed = CacheSelection.lastUsed(inventory)
    let makers = Dictionary(
      inventory.records.compactMap { record in record.layer.map { ($0, record.key) } },
      uniquingKeysWith: { first, _ in first })
    var counted: Set<Digest> = []
    for (index, record) in inventory.records.enumerated() {
      let isShared = record.layer.map { inImages.contains($0) } ?? false
      let below = record.stack.dropLast().last.flatMap { makers[$0] }
      usage.steps.append(
        StoreUsage.Step(
          key: record.key, parents: below.map { [$0] } ?? [], title: record.title,
          size: record.size + (record.layer.flatMap { sizes[$0] } ?? 0), created: record.started,
          lastUsed: lastUsed[index], isShared: isShared, isInUse: inventory.isLeased(lastUsed[index])))
      var bytes = record.size
      for layer in record.stack where !inImages.contains(layer) && counted.insert(layer).inserted {
        bytes += sizes[layer] ?? 0
      }
      usage.cacheBytes += bytes
    }
    usage.steps.sort { ($1.lastUsed, $0.key) < ($0.lastUsed, $1.key) }
  }
}
