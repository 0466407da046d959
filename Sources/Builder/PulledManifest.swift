internal import Core

/// A manifest of a registry, told apart by its media type.
enum PulledManifest {
  case index(ImageIndex)
  case image(ImageManifest)

  /// Reads `bytes` as what `mediaType` says; throws a `Failure` that names the media type if it is no image's.
  init(_ bytes: [UInt8], mediaType: String) throws {
    switch mediaType {
    case MediaType.ociIndex, MediaType.dockerList: self = .index(try ImageIndex(json: JSON.parse(bytes)))
    case MediaType.ociManifest, MediaType.dockerManifest: self = .image(try ImageManifest(json: JSON.parse(bytes)))
    case "application/vnd.docker.distribution.manifest.v1+json",
      "application/vnd.docker.distribution.manifest.v1+prettyjws":
      throw Failure(
        "", "it has a manifest of schema 1, which was given up years ago",
        hint: "pull and push it once with an older docker, or ask its owner to build it again")
    default: throw Failure("", "media type \(mediaType) is not that of an image")
    }
  }
}

extension ImageIndex {
  /// The entries that are images: not what BuildKit puts beside them, manifests about another one.
  var images: [Descriptor] {
    manifests.filter { $0.annotations["vnd.docker.reference.type"] == nil && $0.platform?.os != "unknown" }
  }

  /// The entry that does best for `platform`; one that says no platform does for all. Throws what there is if none
  /// does.
  func image(for platform: Platform) throws -> Descriptor {
    let images = images
    if images.count == 1, let only = images.first, only.platform == nil { return only }
    let ranked = images.compactMap { entry in
      entry.platform.flatMap { platform.distance(of: $0) }.map { (entry: entry, distance: $0) }
    }
    if let best = ranked.min(by: { $0.distance < $1.distance }) { return best.entry }
    if let free = images.first(where: { $0.platform == nil }) { return free }
    let offered = Set(images.compactMap(\.platform?.description)).sorted().joined(separator: ", ")
    throw Failure(
      "",
      "no matching manifest for \(platform) in the manifest list entries"
        + (offered.isEmpty ? "" : ": it has \(offered)"),
      hint: offered.isEmpty ? nil : "name one of them with --platform")
  }
}
