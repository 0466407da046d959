internal import Core
internal import Linux

/// `index.json`: what other tools read, and what Stave reads where the database would cost too much.
///
/// It holds one descriptor a name, and one for an image without any. Annotations carry the name and what Stave needs
/// besides, so that no manifest has to be opened to find an image.
extension Store {
  private static let nameKeys = ["org.opencontainers.image.ref.name", "io.containerd.image.name"]
  private static let idKey = "stave.image.id"
  private static let sizeKey = "stave.image.size"
  private static let digestsKey = "stave.image.digests"

  /// The images that `index.json` lists, sorted by ID; manifests of other tools' making are passed over.
  static func readIndex(_ paths: StorePaths) throws -> [StateDatabase.Row] {
    let index: ImageIndex
    do {
      index = try ImageIndex(json: try JSON.parse(try HostPath.read(paths.index)))
    } catch let failure as Failure {
      throw failure.during("read \(paths.index)")
    }
    var rows: [Digest: StateDatabase.Row] = [:]
    for descriptor in index.manifests {
      guard let text = descriptor.annotations[idKey], let id = try? Digest(text),
        let size = descriptor.annotations[sizeKey].flatMap({ Int64($0) })
      else { continue }
      var plain = descriptor
      plain.annotations = [:]
      var row = rows[id] ?? StateDatabase.Row(id: id, manifest: plain, size: size, tags: [], repoDigests: [])
      if let name = descriptor.annotations[nameKeys[1]] { row.tags.append(name) }
      let digests = descriptor.annotations[digestsKey, default: ""].split(separator: " ").map(String.init)
      row.repoDigests = Set(row.repoDigests + digests).sorted()
      rows[id] = row
    }
    return rows.values.map { row in
      var row = row
      row.tags.sort()
      return row
    }.sorted { $0.id < $1.id }
  }

  /// Writes `index.json`; only within a transaction of the database.
  func writeIndex(_ rows: [StateDatabase.Row]) throws {
    try replace(paths.index, with: Store.index(rows).json.bytes, durable: true)
  }

  static func index(_ rows: [StateDatabase.Row]) -> ImageIndex {
    ImageIndex(
      manifests: rows.sorted { $0.id < $1.id }.flatMap { row -> [Descriptor] in
        var descriptor = row.manifest
        descriptor.annotations = [idKey: row.id.text, sizeKey: String(row.size)]
        if !row.repoDigests.isEmpty {
          descriptor.annotations[digestsKey] = row.repoDigests.sorted().joined(separator: " ")
        }
        if row.tags.isEmpty { return [descriptor] }
        return row.tags.sorted().map { name in
          var named = descriptor
          for key in nameKeys { named.annotations[key] = name }
          return named
        }
      })
  }
}
