public import Core
public import Graph
public import Linux
public import Store

/// Makes an image of a build's result: config, history, manifest, names.
public struct ImageAssembly: Sendable {
  private let store: Store
  private let plan: BuildPlan
  /// The time that goes into the config and new history entries.
  private let created: Timestamp

  public init(store: Store, plan: BuildPlan, created: Timestamp = Machine.now()) {
    self.store = store
    self.plan = plan
    self.created = created
  }

  /// Writes the image of the layers `result` into the store and gives it the names `tags`.
  /// Its manifest gets `annotations`, its config the records of `cache`.
  public func write(
    _ result: [StackedLayer], tags: [ImageReference], annotations: [String: String] = [:], cache: InlineCache? = nil
  ) throws -> StoredImage {
    var config = plan.config
    config.diffIDs = result.map(\.diffID)
    config.history = try history(result)
    // The newest entry's time, so that a rebuild from the cache gives the same image.
    config.created = plan.sourceDateEpoch ?? config.history.compactMap(\.created).max() ?? created
    let bytes = (cache.map { CacheManifest.inline($0.index, in: config.json) } ?? config.json).bytes
    let layers = try config.diffIDs.map { diffID in
      guard let layer = try store.layer(diffID) else { throw Failure("export image", "layer \(diffID) is missing") }
      return Descriptor(mediaType: MediaType.ociLayer, digest: layer.diffID, size: layer.size)
    }
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: Digest.sha256(bytes), size: Int64(bytes.count)),
      layers: layers, annotations: annotations)
    return try store.putImage(config: bytes, manifest: manifest, tags: tags, keepsAnnotations: false)
  }

  /// The history with times: a layer's entry has the time of its step, an entry without a layer that of the entry
  /// before it, or after it at the front.
  private func history(_ result: [StackedLayer]) throws -> [ImageConfig.History] {
    var entries = plan.history
    let own = entries.indices.filter { if case .layer = entries[$0].origin { true } else { false } }
    guard own.count <= result.count else {
      throw Failure("export image", "\(own.count) steps made \(result.count) layers")
    }
    for (index, layer) in zip(own, result.suffix(own.count)) {
      entries[index].entry.created = plan.sourceDateEpoch ?? layer.created
    }
    var previous: Timestamp?
    for index in entries.indices {
      if entries[index].entry.created == nil, entries[index].origin != .base { entries[index].entry.created = previous }
      previous = entries[index].entry.created ?? previous
    }
    var next: Timestamp? = previous ?? created
    for index in entries.indices.reversed() {
      if entries[index].entry.created == nil, entries[index].origin != .base { entries[index].entry.created = next }
      next = entries[index].entry.created ?? next
    }
    return entries.map(\.entry)
  }
}
