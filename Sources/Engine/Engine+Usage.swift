internal import Core
internal import Linux
internal import Store

extension Engine {
  /// `system df`, `builder du`: what takes how much space.
  public func diskUsage() async throws -> DiskReport {
    let summaries = try await images(all: true)
    return try await withStore { store in
      let usage = try store.usage()
      var report = DiskReport()
      let shares = Dictionary(usage.images.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
      report.images = summaries.map { image in
        ImageUsage(
          image: image, sharedSize: shares[image.id]?.sharedSize ?? 0, uniqueSize: shares[image.id]?.uniqueSize ?? 0)
      }
      report.containers = usage.containers.map { Engine.summary($0.record, size: $0.size) }
      report.volumes = usage.volumes.map { VolumeUsage(name: $0.name, size: $0.size) }
      report.cache = usage.steps.map { CacheUsage($0) }
      report.rows = Engine.rows(usage)
      return report
    }
  }

  private static func rows(_ usage: StoreUsage) -> [DiskUsage] {
    let used = Set(usage.containers.compactMap(\.record.image))
    let running = usage.containers.filter(\.record.state.isRunning)
    let stopped = usage.containers.filter { !$0.record.state.isRunning }
    let volumes = usage.volumes.reduce(0) { $0 + $1.size }
    return [
      DiskUsage(
        type: "Images", total: usage.images.count, active: usage.images.count { used.contains($0.id) },
        size: usage.imageBytes, reclaimable: usage.reclaimableImageBytes),
      DiskUsage(
        type: "Containers", total: usage.containers.count, active: running.count,
        size: usage.containers.reduce(0) { $0 + $1.size }, reclaimable: stopped.reduce(0) { $0 + $1.size }),
      DiskUsage(
        type: "Local Volumes", total: usage.volumes.count, active: 0, size: volumes, reclaimable: volumes),
      DiskUsage(
        type: "Build Cache", total: usage.steps.count, active: usage.steps.count(where: \.isInUse),
        size: usage.cacheBytes, reclaimable: usage.cacheBytes),
    ]
  }
}

extension CacheUsage {
  /// How a step's record is called: 25 digits, as BuildKit's.
  static func id(of key: Digest) -> String { String(key.encoded.prefix(25)) }

  init(_ step: StoreUsage.Step) {
    self.init(
      id: CacheUsage.id(of: step.key), parents: step.parents.map { CacheUsage.id(of: $0) }, description: step.title,
      size: step.size, created: step.created, lastUsed: step.lastUsed, isShared: step.isShared, isInUse: step.isInUse)
  }
}
