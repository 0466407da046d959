internal import Core
internal import Store

/// Docker's `image inspect` document.
struct ImageDocument {
  private let image: StoredImage

  init(_ image: StoredImage) { self.image = image }

  var json: JSON {
    let config = image.config
    return JSON.members([
      "Id": .string(image.id.text), "RepoTags": .strings(image.repoTags.map(\.familiar)),
      "RepoDigests": .strings(image.repoDigests), "Parent": "", "Comment": .string(config.history.last?.comment ?? ""),
      "Created": .string((config.created ?? Timestamp(seconds: 0)).rfc3339), "Author": .string(config.author),
      "Architecture": .string(config.platform.architecture),
      "Variant": JSON.nonEmpty(config.platform.variant), "Os": .string(config.platform.os),
      "OsVersion": JSON.nonEmpty(config.osVersion), "Size": .int(image.size), "VirtualSize": .int(image.size),
      "Config": Self.config(config.config),
      "RootFS": .object(["Type": "layers", "Layers": .strings(config.diffIDs.map(\.text))]),
      "Descriptor": Descriptor(
        mediaType: image.manifest.mediaType, digest: image.manifestDigest,
        size: Int64(image.manifest.json.bytes.count)
      ).json,
    ])
  }

  /// The `Config` member, with Docker's empty members.
  static func config(_ config: ContainerConfig) -> JSON {
    var members = config.json.object ?? [:]
    members["User"] = .string(config.user)
    members["Env"] = .strings(config.env)
    members["WorkingDir"] = .string(config.workingDir)
    members["Cmd"] = config.cmd.map { .strings($0) } ?? .null
    members["Entrypoint"] = config.entrypoint.map { .strings($0) } ?? .null
    members["Labels"] = config.labels.isEmpty ? .null : .object(config.labels.mapValues { .string($0) })
    members["Volumes"] = members["Volumes"] ?? .null
    members["OnBuild"] = config.onBuild.isEmpty ? .null : .strings(config.onBuild)
    return .object(members)
  }
}
