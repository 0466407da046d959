internal import Core
internal import FileTree
internal import Store

/// The packed form: one JSON document, compressed where that pays.
///
/// ```
/// {"version":1,
///  "layers":[{"diffID":D,"blob":DESCRIPTOR}],       blob: where it has one
///  "nodes":[[PARENT,LAYER,CREATED]],                positions, -1 at the bottom; CREATED: none for a base
///  "steps":[{"key":D,"definitions":[D],"top":NODE,"started":T,"durations":{},"title":TEXT,"preimage":ANY}]}
/// ```
extension CacheIndex {
  static let mediaType = "application/vnd.stave.cache.index.v1+json"
  static let compressedMediaType = mediaType + "+zstd"

  /// The most bytes of a packed index, and of what it is unpacked to.
  static let mostPacked: Int64 = 16 << 20
  static let mostBytes = 64 << 20

  /// Below this it is not worth the library that compresses.
  private static let worthCompressing = 16 << 10

  /// The bytes of the index and what they are; equal indexes have equal bytes.
  func packed() throws -> (bytes: [UInt8], mediaType: String) {
    let plain = json.bytes
    if plain.count < CacheIndex.worthCompressing { return (plain, CacheIndex.mediaType) }
    let sink = MemorySink()
    let compressor = try Compressor(.zstd, into: sink, level: 3, threads: 1)
    try compressor.write(plain)
    try compressor.finish()
    return (sink.bytes, CacheIndex.compressedMediaType)
  }

  /// Reads what `packed` wrote; throws a `Failure` for anything else.
  init(packed bytes: [UInt8], mediaType: String) throws {
    var bytes = bytes
    if mediaType == CacheIndex.compressedMediaType {
      guard let plain = try Decompressor(MemorySource(bytes), .zstd).bytes(limit: CacheIndex.mostBytes) else {
        throw Failure("read cache index", "it has more than \(CacheIndex.mostBytes >> 20) MiB")
      }
      bytes = plain
    } else if mediaType != CacheIndex.mediaType {
      throw Failure("read cache index", "it is of an unknown kind, \(mediaType)")
    }
    try self.init(json: JSON.parse(bytes))
  }

  var json: JSON {
    JSON.members([
      "version": 1,
      "layers": .array(
        layers.map { JSON.members(["diffID": .string($0.diffID.text), "blob": $0.blob.map(\.json)]) }),
      "nodes": .array(
        nodes.map { node in
          .array(
            [.int(Int64(node.parent ?? -1)), .int(Int64(node.layer))]
              + (node.created.map { [.string($0.rfc3339)] } ?? []))
        }),
      "steps": .array(
        steps.map { step in
          JSON.members([
            "key": .string(step.key.text), "definitions": .strings(step.definitions.map(\.text)),
            "top": .int(Int64(step.top)), "started": .string(step.started.rfc3339),
            "durations": step.durations.isEmpty ? nil : .object(step.durations.mapValues { .int($0) }),
            "title": JSON.nonEmpty(step.title), "preimage": step.preimage,
          ])
        }),
    ])
  }

  /// Reads `json`, whoever wrote it: every position is checked. `blobs` are those of layers that it names none for.
  init(json: JSON, blobs: [Digest: Descriptor] = [:]) throws {
    func refuse(_ reason: String) -> Failure { Failure("read cache index", reason) }
    guard let version = json["version"]?.int else { throw refuse("it says no version") }
    guard version == 1 else { throw refuse("it is of version \(version), which another release of stave wrote") }
    guard let layers = json["layers"]?.array, let nodes = json["nodes"]?.array, let steps = json["steps"]?.array else {
      throw refuse("layers, nodes or steps are missing")
    }
    let readLayers = try layers.map { layer in
      guard let diffID = try layer["diffID"]?.string.map({ try Digest($0) }) else {
        throw refuse("a layer is malformed")
      }
      return CachedLayer(diffID: diffID, blob: try layer["blob"].map { try Descriptor(json: $0) } ?? blobs[diffID])
    }
    let readNodes = try nodes.enumerated().map { number, node in
      guard let node = node.array, node.count == 2 || node.count == 3,
        let parent = node[0].int, (-1..<Int64(number)).contains(parent), let layer = node[1].int,
        readLayers.indices.contains(Int(clamping: layer))
      else { throw refuse("node \(number) is malformed") }
      let created = node.count == 3 ? node[2].string.flatMap { Timestamp(rfc3339: $0) } : nil
      if node.count == 3, created == nil { throw refuse("node \(number) has no time") }
      return Node(parent: parent < 0 ? nil : Int(parent), layer: Int(layer), created: created)
    }
    let readSteps = try steps.map { step in
      guard let key = step["key"]?.string, let definitions = step["definitions"]?.array, let top = step["top"]?.int,
        readNodes.indices.contains(Int(clamping: top)),
        let started = step["started"]?.string.flatMap({ Timestamp(rfc3339: $0) })
      else { throw refuse("a step is malformed") }
      return Step(
        key: try Digest(key),
        definitions: try definitions.map { text in
          guard let text = text.string else { throw refuse("a definition is malformed") }
          return try Digest(text)
        },
        top: Int(top), started: started, durations: step["durations"]?.object?.compactMapValues(\.int) ?? [:],
        title: CacheIndex.title(step["title"]?.string ?? ""), preimage: step["preimage"])
    }
    self.init(layers: readLayers, nodes: readNodes, steps: readSteps)
  }

  /// A foreign title as terminals can be shown it.
  private static func title(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(4096).filter {
      $0 == "\n" || $0 == "\t" || $0.properties.generalCategory != .control
    }
    var out = String.UnicodeScalarView()
    out.append(contentsOf: shown)
    return String(out)
  }
}
