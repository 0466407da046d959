internal import Core
internal import Linux

extension Store {
  /// What takes how much space. A layer of several images counts once; one of an image and of the cache is the image's.
  public func du() throws -> DiskUsage {
    var usage = DiskUsage()
    let containers = try self.containers()
    let used = Set(containers.compactMap(\.image))
    let images = try self.images()
    usage.images.total = images.count
    usage.images.active = images.count { used.contains($0.id) }
    let all = objects(images)
    let kept = objects(images.filter { used.contains($0.id) })
    for digest in all.layers {
      let size = try size(ofLayer: digest)
      usage.images.size += size
      if !kept.layers.contains(digest) { usage.images.reclaimable += size }
    }
    for digest in all.blobs.subtracting(all.layers) {
      let size = try blobSize(digest) ?? 0
      usage.images.size += size
      if !kept.blobs.contains(digest) { usage.images.reclaimable += size }
    }

    usage.containers.total = containers.count
    usage.containers.active = containers.count { $0.state.isRunning }
    for container in containers {
      var counted: Set<UInt64> = []
      let size = (try? allocated(Directory(paths.container(container.id)), &counted)) ?? 0
      usage.containers.size += size
      if !container.state.isRunning { usage.containers.reclaimable += size }
    }

    let volumes = try Directory(paths.volumes).entries()
    usage.volumes.total = volumes.count
    var counted: Set<UInt64> = []
    usage.volumes.size = try allocated(Directory(paths.volumes), &counted)

    let records = try steps()
    usage.buildCache.total = records.count
    let cached = Set(records.compactMap(\.resultDiffID))
    usage.buildCache.active = records.count { $0.resultDiffID.map { all.layers.contains($0) } ?? false }
    for diffID in cached.subtracting(all.layers) { usage.buildCache.size += try size(ofLayer: diffID) }
    usage.buildCache.reclaimable = usage.buildCache.size
    return usage
  }

  private func objects(_ images: [StoredImage]) -> (layers: Set<Digest>, blobs: Set<Digest>) {
    var layers: Set<Digest> = []
    var blobs: Set<Digest> = []
    for image in images {
      layers.formUnion(image.config.diffIDs)
      blobs.formUnion(image.manifest.layers.map(\.digest))
      blobs.insert(image.id)
      blobs.insert(image.manifestDigest)
    }
    return (layers, blobs)
  }
}
