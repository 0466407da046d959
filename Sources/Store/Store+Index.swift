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
    return rows(of: index.manifests)
  }

  /// The images that the descriptors of an index name, sorted by ID.
  private static func rows(of descriptors: [Descriptor]) -> [StateDatabase.Row] {
    var rows: [String: StateDatabase.Row] = [:]
    for descriptor in descriptors {
      guard let text = descriptor.annotations[idKey], let id = try? Digest(text),
        let size = descriptor.annotations[sizeKey].flatMap({ Int64($0) })
      else { continue }
      var plain = descriptor
      plain.annotations = [:]
      var row = rows[text] ?? StateDatabase.Row(id: id, manifest: plain, size: size, tags: [], repoDigests: [])
      if let name = descriptor.annotations[nameKeys[1]] { row.tags.append(name) }
      let digests = descriptor.annotations[digestsKey, default: ""].split(separator: " ").map(String.init)
      row.repoDigests = Set(row.repoDigests + digests).sorted()
      rows[text] = row
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

  /// Whether the index is canonical, as Stave writes it, and not another tool's.
  static func isOwnWriting(_ index: [UInt8]) -> Bool { index.starts(with: "{\"manifests\":[".utf8) }

  /// The image that has the canonical name `name`, found without parsing what `index.json` says of the others: a store
  /// may have thousands. Nil is sure only where `isOwnWriting`.
  static func findRow(named name: String, in index: [UInt8]) -> StateDatabase.Row? {
    let descriptors = find("\"\(nameKeys[1])\":\(JSON.string(name).text)", in: index)
    guard let descriptor = descriptors.first(where: { $0.annotations[nameKeys[1]] == name }),
      let id = descriptor.annotations[idKey].flatMap({ try? Digest($0) })
    else { return nil }
    return findRow(id, in: index)
  }

  /// As `findRow(named:in:)`, of the image `id`.
  static func findRow(_ id: Digest, in index: [UInt8]) -> StateDatabase.Row? {
    rows(of: find("\"\(idKey)\":\"\(id.text)\"", in: index)).first { $0.id == id }
  }

  /// The descriptors of a canonical index in whose text `needle` stands.
  private static func find(_ needle: String, in index: [UInt8]) -> [Descriptor] {
    // How each of ours begins: annotations are the first member by name. Quotes within strings are escaped, so that no
    // string can hold it.
    let opening = Array("{\"annotations\":{".utf8)
    let needle = Array(needle.utf8)
    var found: [Descriptor] = []
    var at = 0
    while let hit = ByteSearch.first(needle, in: index, from: at) {
      var start = hit
      while start > 0, index[start] != opening[0] || !index[start...].starts(with: opening) { start -= 1 }
      let end = ByteSearch.first(opening, in: index, from: hit) ?? index.count
      if let (json, _) = try? JSON.parseFirst(Array(index[start..<end])), let descriptor = try? Descriptor(json: json) {
        found.append(descriptor)
      }
      at = end
    }
    return found
  }
}
