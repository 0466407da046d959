internal import Builder
internal import Core
internal import Graph
internal import Linux
internal import Store

/// Makes images of what a build's plans came to, and of several images a list.
struct BuildExport {
  let store: Store
  let tags: [ImageReference]
  let annotations: [BuildAnnotation]
  let reporter: ProgressReporter

  /// What came of it.
  struct Result {
    /// One a platform, in their order.
    var images: [StoredImage]
    /// The image for this machine, else the first.
    var own: StoredImage
    /// Of several images.
    var list: ManifestList?
    var metadata: BuildMetadata
  }

  /// Writes the images of `built`, one for each platform, and gives them the names. `caches` are what their configs
  /// take along, in the same order.
  func write(
    _ built: [(platform: Platform, plan: BuildPlan, layers: [StackedLayer])], _ caches: [InlineCache?]
  ) throws -> Result {
    let isList = built.count > 1
    let images = try zip(built, caches).map { built, cache in
      try ImageAssembly(store: store, plan: built.plan).write(
        built.layers, tags: isList ? [] : tags, annotations: annotations.values(.manifest, built.platform),
        cache: cache)
    }
    for image in images { reporter.message("writing image \(image.id.text)") }
    guard let own = ImagePull.best(images) else { throw Failure("export image", "there is nothing to export") }
    let names = tags.map(\.canonical)
    defer { for name in names { reporter.message("naming to \(name)") } }
    var entries = try zip(images, built).map { image, built in
      var entry = try ListSource.entry(image, store)
      entry.descriptor.platform = built.platform
      return entry
    }
    guard isList else {
      // A list of that name was of several platforms, even if this image was among them.
      for tag in tags where try store.list(tag) != nil {
        try store.changeList(tag) { if $0?.isOfImage == true { $0 = nil } }
      }
      let metadata = BuildMetadata(descriptor: entries[0].descriptor, config: own.id, names: names)
      return Result(images: images, own: own, list: nil, metadata: metadata)
    }
    for (number, built) in built.enumerated() {
      entries[number].descriptor.annotations = annotations.values(.manifestDescriptor, built.platform)
    }
    let bytes = ImageIndex(
      manifests: entries.map(\.descriptor), annotations: annotations.values(.index)
    ).json.bytes
    let descriptor = Descriptor(mediaType: MediaType.ociIndex, digest: .sha256(bytes), size: Int64(bytes.count))
    reporter.message("writing manifest list \(descriptor.digest)")
    var list: ManifestList?
    for tag in tags {
      try store.tag(tag, own.id)
      let named = ManifestList(name: tag, entries: entries, annotations: annotations.values(.index), kind: .image)
      try store.changeList(tag) { $0 = named }
      list = list ?? named
    }
    return Result(
      images: images, own: own, list: list, metadata: BuildMetadata(descriptor: descriptor, config: nil, names: names))
  }
}
