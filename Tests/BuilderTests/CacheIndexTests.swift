import Core
import Linux
import Store
import Testing

@testable import Builder

@Suite struct CacheIndexTests {
  static func record(_ name: String, _ stack: [StackedLayer], preimage: Bool = true) -> StepRecord {
    StepRecord(
      key: .sha256("key \(name)"), definitionKey: .sha256("definition \(name)"),
      preimage: preimage ? Preimage(JSON.object(["op": .string(name)])) : .null, resultDiffID: stack.last?.diffID,
      stack: stack,
      started: Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789), durations: ["run": 5, "pack": 6],
      title: "RUN \(name)")
  }

  static func layer(_ name: String, _ created: Int64? = 1) -> StackedLayer {
    StackedLayer(.sha256("layer \(name)"), created: created.map { Timestamp(seconds: $0, nanoseconds: 7) })
  }

  static func blob(_ layer: StackedLayer) -> Descriptor {
    Descriptor(mediaType: MediaType.ociLayerGzip, digest: .sha256("blob \(layer.diffID)"), size: 10)
  }

  /// A base, two steps on it, another one on the first, and one that stands on nothing.
  static let sample: (records: [StepRecord], index: CacheIndex) = {
    let base = layer("base", nil)
    let (a, b, c, d) = (layer("a"), layer("b", 2), layer("c", 3), layer("d", 4))
    let records = [
      record("a", [base, a]), record("b", [base, a, b]), record("c", [base, a, c]), record("d", [d]),
    ]
    let blobs = Dictionary(uniqueKeysWithValues: [a, b, c, d].map { ($0.diffID, blob($0)) })
    let preimages = Dictionary(uniqueKeysWithValues: records.map { ($0.key, JSON.object(["op": .string($0.title)])) })
    return (records, CacheIndex(records, blobs: blobs, preimages: preimages))
  }()

  @Test func keepsRecordsAndFindsThemByBothKeys() throws {
    let (records, index) = CacheIndexTests.sample
    // The tree: base, a, b, c and d.
    #expect(index.nodes.count == 5)
    let again = try CacheIndex(json: JSON.parse(index.json.bytes))
    #expect(again == index)
    for record in records {
      for key in [record.key, record.definitionKey] {
        let step = try #require(again.step(key))
        let found = try #require(again.record(step))
        #expect(found.stack == record.stack)
        #expect(found.key == record.key)
        #expect(found.definitionKey == record.definitionKey)
        #expect(found.resultDiffID == record.resultDiffID)
        #expect((found.started, found.title) == (record.started, record.title))
        #expect(found.durations == record.durations)
      }
    }
    #expect(again.step(.sha256("nobody's")) == nil)
    let top = try #require(again.step(records[1].key))
    #expect(again.layers(of: top).map(\.diffID) == records[1].stack.map(\.diffID))
    #expect(again.layers(of: top)[0].blob == nil)
    #expect(again.blob(of: records[1].stack[1].diffID) == CacheIndexTests.blob(records[1].stack[1]))
    #expect(again.blobs.count == 4)
  }

  @Test func severalDefinitionsLeadToOneRecord() throws {
    var (first, second) = (CacheIndexTests.sample.records[0], CacheIndexTests.sample.records[0])
    first.definitionKey = .sha256("x")
    second.definitionKey = .sha256("y")
    let index = CacheIndex([first, second], blobs: [:])
    #expect(index.steps.count == 1)
    let step = try #require(index.step(.sha256("y")))
    #expect(index.record(step, definition: .sha256("y"))?.definitionKey == .sha256("y"))
    #expect(index.step(.sha256("x")) == step)
  }

  @Test func packsTheSameBytesSmallAndLarge() throws {
    let small = CacheIndexTests.sample.index
    #expect(try small.packed().mediaType == CacheIndex.mediaType)
    #expect(try small.packed() == small.packed())
    var stack: [StackedLayer] = []
    let records = (0..<500).map { number in
      stack.append(CacheIndexTests.layer("\(number)", Int64(number)))
      return CacheIndexTests.record("\(number)", stack)
    }
    let large = CacheIndex(records, blobs: [:])
    // 500 steps of up to 500 layers.
    #expect(large.nodes.count == 500)
    let (bytes, type) = try large.packed()
    #expect(type == CacheIndex.compressedMediaType)
    #expect(try large.packed().bytes == bytes)
    #expect(try CacheIndex(packed: bytes, mediaType: type) == large)
  }

  @Test func refusesWhatIsTooDeepAndWhatIsNone() throws {
    let digest = Digest.sha256("x").text
    func index(_ layers: String, _ nodes: String, _ steps: String, version: Int = 1) throws -> CacheIndex {
      try CacheIndex(
        json: JSON.parse("{\"version\":\(version),\"layers\":[\(layers)],\"nodes\":[\(nodes)],\"steps\":[\(steps)]}"))
    }
    let layer = "{\"diffID\":\"\(digest)\"}"
    let step = "{\"key\":\"\(digest)\",\"definitions\":[],\"top\":0,\"started\":\"2020-01-01T00:00:00Z\"}"
    #expect(try index(layer, "[-1,0]", step).steps.count == 1)
    for (nodes, steps) in [
      ("[0,0]", ""), ("[-2,0]", ""), ("[-1,1]", ""), ("[-1,-1]", ""), ("[-1,0,\"x\"]", ""), ("[-1]", ""), ("7", ""),
      ("[9223372036854775807,0]", ""), ("[-1,9223372036854775807]", ""),
      ("[-1,0]", step.replacing("\"top\":0", with: "\"top\":1")),
      ("[-1,0]", step.replacing("\"top\":0", with: "\"top\":-9223372036854775808")),
      ("[-1,0]", step.replacing("2020", with: "x")), ("[-1,0]", step.replacing(digest, with: "sha256:0")),
    ] {
      #expect(throws: Failure.self) { try index(layer, nodes, steps) }
    }
    #expect(throws: Failure.self) { try index(layer, "[-1,0]", step, version: 2) }
    // A path that is longer than any result.
    let chain = (0...CacheIndex.deepest).map { "[\($0 - 1),0]" }.joined(separator: ",")
    let deep = try index(layer, chain, step.replacing("\"top\":0", with: "\"top\":\(CacheIndex.deepest)"))
    #expect(deep.record(deep.steps[0]) == nil)
    #expect(deep.layers(of: deep.steps[0]).isEmpty)
    #expect(throws: Failure.self) { try CacheIndex(packed: [], mediaType: "text/plain") }
  }

  /// Changed indexes are read or refused, never trap; the seed is fixed.
  @Test func readsOrRefusesMutations() throws {
    var state: UInt64 = 42
    func random(_ below: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(below))
    }
    let plain = CacheIndexTests.sample.index.json.bytes
    let sink = try CacheIndex(
      (0..<200).map { CacheIndexTests.record("\($0)", [CacheIndexTests.layer("\($0)")]) }, blobs: [:]
    ).packed().bytes
    let pieces: [[UInt8]] = ["-1", "9999999999999", "[", "]", "{", "\"", "null", ",", ":", "1e9"].map { Array($0.utf8) }
    for (seed, type, rounds) in [(plain, CacheIndex.mediaType, 3000), (sink, CacheIndex.compressedMediaType, 300)] {
      for _ in 0..<rounds {
        var bytes = seed
        for _ in 0...random(3) {
          let at = random(bytes.count)
          switch random(4) {
          case 0: bytes[at] = UInt8(random(256))
          case 1: bytes.replaceSubrange(at..<min(bytes.count, at + 1 + random(6)), with: pieces[random(pieces.count)])
          case 2: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random(40)))
          default: bytes[at] ^= UInt8(1 << random(8))
          }
          if bytes.isEmpty { bytes = seed }
        }
        guard let index = try? CacheIndex(packed: bytes, mediaType: type) else { continue }
        for step in index.steps {
          _ = index.record(step)
          _ = index.layers(of: step)
        }
        _ = try index.packed()
      }
    }
  }

  @Test func liesInAManifestOrInAnImagesConfig() throws {
    let index = CacheIndexTests.sample.index
    let (bytes, type) = try index.packed()
    let config = Descriptor(mediaType: type, digest: .sha256(bytes), size: Int64(bytes.count))
    let json = try JSON.parse(CacheManifest.bytes(index, config: config))
    #expect(json["artifactType"]?.string == CacheManifest.artifactType)
    let manifest = try ImageManifest(json: json)
    #expect(manifest.layers == index.blobs)
    #expect(try CacheManifest.index(of: manifest) { _ in bytes } == index)

    // In an image, whose manifest says where the layers are.
    let stack = CacheIndexTests.sample.records[1].stack
    var image = ImageConfig(platform: .current)
    image.diffIDs = stack.map(\.diffID)
    let bare = CacheIndex([CacheIndexTests.sample.records[1]], blobs: [:])
    let document = CacheManifest.inline(bare, in: image.json)
    #expect(try ImageConfig(json: document) == image)
    let descriptor = Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(document.bytes), size: 9)
    let found = try CacheManifest.index(
      of: ImageManifest(config: descriptor, layers: stack.map(CacheIndexTests.blob))
    ) { _ in document.bytes }
    #expect(found.blobs == stack.map(CacheIndexTests.blob))
    #expect(throws: Failure.self) {
      try CacheManifest.index(of: ImageManifest(config: descriptor, layers: [])) { _ in document.bytes }
    }
    #expect(throws: Failure.self) {
      try CacheManifest.index(of: ImageManifest(config: descriptor, layers: [])) { _ in image.json.bytes }
    }
  }
}
