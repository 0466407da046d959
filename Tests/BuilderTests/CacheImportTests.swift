import Core
import FileTree
import Linux
import Store
import Synchronization
import Testing

@testable import Builder
@testable import Graph

@Suite struct CacheImportTests {
  /// A source that counts what it is asked for.
  private final class Counted: CacheSource {
    let source: any CacheSource
    private let log = Mutex<[String]>([])
    init(_ source: any CacheSource) { self.source = source }

    var name: String { source.name }
    var repository: ImageReference? { source.repository }
    var asked: [String] { log.withLock { $0 } }

    func manifest(_ digest: Digest?) throws -> (bytes: [UInt8], mediaType: String) {
      log.withLock { $0.append("manifest") }
      return try source.manifest(digest)
    }

    func read(_ blob: Descriptor, from offset: Int64, into sink: (UnsafeRawBufferPointer) throws -> Void) throws {
      log.withLock { $0.append(blob.mediaType.hasPrefix("application/vnd.stave") ? "index" : "layer") }
      try source.read(blob, from: offset, into: sink)
    }
  }

  /// A folder with stores, gone with the value.
  private final class Ground: Sendable {
    let path: String
    let warnings = Mutex<[String]>([])
    init() throws { path = try HostPath.makeTemporaryDirectory("/tmp/stave-cache-test-") }
    deinit { try? HostPath.removeTree(path) }

    func store(_ name: String) throws -> Store { try Store.open(root: "\(path)/\(name)") }

    var reporter: ProgressReporter {
      ProgressReporter { [self] event in
        if case .warning(let diagnostic) = event { warnings.withLock { $0.append(diagnostic.message) } }
      }
    }
  }

  /// `FROM scratch` and steps on one another, without anything but their definitions.
  private struct Steps {
    var plan: BuildPlan
    var vertices: [Vertex]
    var keys: [CacheKey]

    /// The last step copies from `side`, which stands on nothing.
    init(_ names: [String], side: String) throws {
      let scratch = Vertex(op: .scratch, inputs: [], title: "", instructionText: "")
      func step(_ name: String, _ inputs: [VertexID]) -> Vertex {
        Vertex(op: .makeDirectory(.init(path: "/\(name)")), inputs: inputs, title: name, instructionText: name)
      }
      var chain: [Vertex] = []
      let aside = step(side, [scratch.id])
      for name in names.dropLast() { chain.append(step(name, [chain.last?.id ?? scratch.id])) }
      chain.append(step(names.last ?? "", [chain.last?.id ?? scratch.id, aside.id]))
      vertices = [scratch, aside] + chain
      plan = BuildPlan(
        vertices: vertices, target: vertices[vertices.count - 1].id, config: ImageConfig(platform: .current),
        history: [])
      keys = []
      for vertex in vertices {
        let inputs = vertex.inputs.compactMap { id in vertices.firstIndex { $0.id == id } }.map { keys[$0] }
        keys.append(.definition(vertex, context: nil, inputs: inputs))
      }
    }

    var definitions: StepDefinitions {
      let out = StepDefinitions()
      out.set(Array(zip(vertices, keys)).map { (vertex: $0, key: $1) })
      return out
    }

    func key(_ name: String) throws -> CacheKey {
      keys[try #require(vertices.firstIndex { $0.title == name })]
    }
  }

  private static let steps = Result { try Steps(["one", "two", "three"], side: "aside") }

  /// Records all steps in the store as a build would.
  private func fill(_ store: Store, _ steps: Steps) throws {
    var stacks: [VertexID: [StackedLayer]] = [:]
    for (vertex, key) in zip(steps.vertices, steps.keys) {
      guard let base = vertex.inputs.first else { continue }
      let writer = try store.layerWriter()
      try writer.tar.begin(TarEntry(path: TreePath(clamping: vertex.title), kind: .directory, mode: 0o755))
      let layer = try writer.commit().diffID
      let stack = stacks[base, default: []] + [StackedLayer(layer, created: Timestamp(seconds: 5))]
      stacks[vertex.id] = stack
      try store.putStep(
        StepRecord(
          key: .sha256("content \(vertex.title)"), definitionKey: key.digest,
          preimage: Preimage(JSON.object(["op": .string(vertex.title)])), resultDiffID: layer, stack: stack,
          started: Timestamp(seconds: 5), title: vertex.title))
    }
  }

  private func exported(_ ground: Ground, _ mode: CacheExport.Mode, compression: String? = nil) async throws
    -> DirectoryCache
  {
    let store = try ground.store("first")
    let steps = try CacheImportTests.steps.get()
    try fill(store, steps)
    let cache = DirectoryCache("\(ground.path)/cache", tag: "latest")
    let export = try CacheExport(
      to: cache, mode: mode, packing: .init(compression: compression), store: store, imports: nil)
    try await export.finish([steps.plan], steps.definitions) { _ in }
    return cache
  }

  @Test(arguments: [nil, "gzip", "zstd", "uncompressed"])
  func fetchesWhatIsUsedAndNoMore(compression: String?) async throws {
    let ground = try Ground()
    let source = Counted(try await exported(ground, .max, compression: compression))
    let steps = try CacheImportTests.steps.get()
    let store = try ground.store("second")
    let lease = try store.lease()
    defer { lease.release() }
    let imports = CacheImport([source], platforms: [.current], store: store, reporter: ground.reporter)
    let found = try #require(try await imports.find(steps.key("two")))
    #expect(found.stack.count == 2)
    #expect(source.asked == ["manifest", "index", "layer", "layer"])
    // It is one of the store's now.
    #expect(try store.alias(steps.key("two").digest) == found.key)
    #expect(try store.step(forKey: found.key)?.stack == found.stack)
    #expect(try store.preimage(ofStep: found.key) == .object(["op": "two"]))
    // One more layer than before.
    #expect(try await imports.find(steps.key("three"))?.stack.count == 3)
    #expect(source.asked.count == 5)
    // Below what is there, nothing is asked for.
    #expect(try await imports.find(steps.key("one")) != nil)
    #expect(source.asked.count == 5)
    #expect(try await imports.find(.definition(steps.vertices[0], context: nil, inputs: [])) == nil)
    #expect(try store.check(repair: false).isEmpty)
    #expect(ground.warnings.withLock { $0 } == [])
  }

  @Test func minHasTheStepsOfTheImageAlone() async throws {
    let ground = try Ground()
    let cache = try await exported(ground, .min)
    let index = try cache.indexes([.current])[0]
    #expect(index.steps.map(\.title) == ["one", "two", "three"])
    let full = try await exported(ground, .max).indexes([.current])[0]
    #expect(full.steps.map(\.title) == ["aside", "one", "two", "three"])
    // The same again changes nothing.
    let before = try cache.manifest(nil).bytes
    #expect(try await exported(ground, .max).manifest(nil).bytes == before)
  }

  @Test func aCacheThatIsReplacedLeavesNothing() async throws {
    let ground = try Ground()
    _ = try await exported(ground, .max)
    func blobs() throws -> Int { try Directory("\(ground.path)/cache/blobs/sha256").entries().count }
    #expect(try blobs() == 6)
    _ = try await exported(ground, .min)
    #expect(try blobs() == 5)
  }

  @Test func whatCannotBeReadIsAWarningAndCountsAsEmpty() async throws {
    let ground = try Ground()
    let steps = try CacheImportTests.steps.get()
    let good = try await exported(ground, .max)
    let store = try ground.store("second")
    let absent = Counted(DirectoryCache("\(ground.path)/absent", tag: "latest"))
    let imports = CacheImport([absent, good], platforms: [.current], store: store, reporter: ground.reporter)
    #expect(try await imports.find(steps.key("one")) != nil)
    #expect(try await imports.find(steps.key("two")) != nil)
    #expect(absent.asked.count == 1)
    #expect(ground.warnings.withLock { $0.count } == 1)
    #expect(ground.warnings.withLock { $0[0] }.contains("absent"))

    // A layer that is damaged is not taken, and neither is anything else from there.
    let third = try ground.store("third")
    let index = try good.indexes([.current])[0]
    for blob in index.blobs { try HostPath.write([1, 2, 3], to: good.blobPath(blob.digest)) }
    let damaged = CacheImport([good], platforms: [.current], store: third, reporter: ground.reporter)
    #expect(try await damaged.find(steps.key("two")) == nil)
    #expect(try await damaged.find(steps.key("one")) == nil)
    #expect(try third.steps().isEmpty)
    #expect(ground.warnings.withLock { $0.count } == 2)
  }

  @Test func anotherExportKeepsStepsThatWereNotLookedAt() async throws {
    let ground = try Ground()
    let steps = try CacheImportTests.steps.get()
    let source = Counted(try await exported(ground, .max))
    let store = try ground.store("second")
    let imports = CacheImport([source], platforms: [.current], store: store, reporter: ground.reporter)
    _ = try #require(try await imports.find(steps.key("three")))
    // To the same place: what lies there is not fetched for it.
    let asked = source.asked.count
    let same = DirectoryCache("\(ground.path)/cache", tag: "latest")
    let again = try CacheExport(to: same, mode: .max, packing: .init(), store: store, imports: imports)
    try await again.finish([steps.plan], steps.definitions) { _ in }
    #expect(try same.indexes([.current])[0].steps.map(\.title) == ["aside", "one", "two", "three"])
    #expect(source.asked.count == asked)
    // To another one: the layer comes from the first.
    let other = DirectoryCache("\(ground.path)/other", tag: "latest")
    let copy = try CacheExport(to: other, mode: .max, packing: .init(), store: store, imports: imports)
    try await copy.finish([steps.plan], steps.definitions) { _ in }
    #expect(try other.indexes([.current])[0].steps.count == 4)
    #expect(source.asked.count == asked + 1)
    for blob in try other.indexes([.current])[0].blobs {
      #expect(try HostPath.status(other.blobPath(blob.digest)) != nil)
    }
  }
}
