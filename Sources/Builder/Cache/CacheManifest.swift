internal import Core

/// How a build cache lies in a registry or a directory: one OCI image manifest whose config is the packed index and
/// whose layers are the blobs that the index names, so that registries keep them; or, in an image, a member of its
/// config.
enum CacheManifest {
  static let artifactType = "application/vnd.stave.cache.v1"
  /// The member of an image's config that has the index of its own steps.
  static let configMember = "stave.cache.v1"

  /// The manifest of `index`, packed as `config` says.
  static func bytes(_ index: CacheIndex, config: Descriptor) -> [UInt8] {
    var seen: Set<Digest> = []
    let layers = index.blobs.filter { seen.insert($0.digest).inserted }
    guard case .object(var members) = ImageManifest(config: config, layers: layers).json else { return [] }
    members["artifactType"] = .string(artifactType)
    return JSON.object(members).bytes
  }

  /// The config of an image, whose document is `config`, with `index` in it.
  static func inline(_ index: CacheIndex, in config: JSON) -> JSON {
    guard case .object(var members) = config else { return config }
    members[configMember] = index.json
    return .object(members)
  }

  /// The index of the cache or image that `manifest` is. `blob` reads one of its blobs, the config.
  static func index(of manifest: ImageManifest, blob: (Descriptor) throws -> [UInt8]) throws -> CacheIndex {
    let config = manifest.config
    guard config.size <= CacheIndex.mostPacked else {
      throw Failure("read cache index", "it has more than \(CacheIndex.mostPacked >> 20) MiB")
    }
    switch config.mediaType {
    case CacheIndex.mediaType, CacheIndex.compressedMediaType:
      return try CacheIndex(packed: blob(config), mediaType: config.mediaType)
    case MediaType.ociConfig, MediaType.dockerConfig:
      let document = try JSON.parse(blob(config))
      guard let inline = document[configMember] else {
        throw Failure(
          "", "it is an image without a build cache of stave's in it",
          hint: "build it with --cache-to type=inline, or name a cache that --cache-to type=registry has written")
      }
      let diffIDs = try ImageConfig(json: document).diffIDs
      guard diffIDs.count == manifest.layers.count else {
        throw Failure("", "the config lists \(diffIDs.count) layers, the manifest \(manifest.layers.count)")
      }
      return try CacheIndex(json: inline, blobs: Dictionary(zip(diffIDs, manifest.layers)) { first, _ in first })
    case "application/vnd.buildkit.cacheconfig.v0":
      throw Failure("", "it is a cache of BuildKit's, whose steps have other keys", hint: "write one with --cache-to")
    default: throw Failure("", "it is neither a build cache nor an image, but \(config.mediaType)")
    }
  }
}
