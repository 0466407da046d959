internal import Core

/// What `build --metadata-file` writes: BuildKit's names of what an exporter made.
struct BuildMetadata {
  /// The manifest or index.
  var descriptor: Descriptor
  /// The config's digest; nil for an index.
  var config: Digest?
  /// Canonical.
  var names: [String]

  var json: JSON {
    JSON.members([
      "containerimage.config.digest": config.map { .string($0.text) },
      "containerimage.descriptor": descriptor.json, "containerimage.digest": .string(descriptor.digest.text),
      "image.name": JSON.nonEmpty(names.joined(separator: ",")),
    ])
  }

  /// What `--iidfile` holds: the config's digest of one image, the index's of several.
  var imageID: Digest { config ?? descriptor.digest }
}
