import Core
import FileTree
import Graph
import Linux
import Store
import Testing

@testable import Builder

@Suite struct ImageAssemblyTests {
  private typealias Item = BuildPlan.HistoryItem

  private func entry(_ text: String, _ time: Int64? = nil, empty: Bool = false) -> ImageConfig.History {
    ImageConfig.History(created: time.map { Timestamp(seconds: $0) }, createdBy: text, isEmptyLayer: empty)
  }

  /// The image of `history` on layers that were made at `times`; nil for a layer of the base.
  private func image(_ history: [Item], _ times: [Int64?], epoch: Int64? = nil, tags: [String] = []) throws
    -> StoredImage
  {
    let path = try HostPath.makeTemporaryDirectory("/tmp/stave-assembly-test-")
    defer { try? HostPath.removeTree(path) }
    let store = try Store.open(root: path)
    let layers = try times.enumerated().map { number, time in
      let writer = try store.layerWriter()
      try writer.tar.begin(TarEntry(path: TreePath(clamping: "d\(number)"), kind: .directory, mode: 0o755))
      return StackedLayer(try writer.commit().diffID, created: time.map { Timestamp(seconds: $0) })
    }
    let plan = BuildPlan(
      vertices: [], target: VertexID(.scratch, inputs: []), config: ImageConfig(platform: .current), history: history,
      sourceDateEpoch: epoch.map { Timestamp(seconds: $0) })
    return try ImageAssembly(store: store, plan: plan, created: Timestamp(seconds: 999))
      .write(layers, tags: try tags.map { try ImageReference($0) })
  }

  private let step = VertexID(.makeDirectory(.init(path: "/x")), inputs: [])

  @Test func layersHaveTheTimeOfTheirStepAndOthersThatBefore() throws {
    let made = try image(
      [
        Item(entry("base", 10), origin: .base), Item(entry("ENV", empty: true), origin: .empty),
        Item(entry("RUN"), origin: .layer(step)), Item(entry("CMD", empty: true), origin: .empty),
      ], [nil, 50], tags: ["a", "b"])
    #expect(made.config.history.map { $0.created?.seconds } == [10, 10, 50, 50])
    #expect(made.created == Timestamp(seconds: 50))
    #expect(made.config.diffIDs.count == 2)
    #expect(made.repoTags.map(\.familiar) == ["a:latest", "b:latest"])
  }

  @Test func entriesBeforeTheFirstTimeTakeTheNext() throws {
    let made = try image(
      [Item(entry("ENV", empty: true), origin: .empty), Item(entry("RUN"), origin: .layer(step))], [70])
    #expect(made.config.history.map { $0.created?.seconds } == [70, 70])
    let empty = try image([Item(entry("ENV", empty: true), origin: .empty)], [])
    #expect(empty.created == Timestamp(seconds: 999))
  }

  @Test func sourceDateEpochIsTheTimeOfAllThatIsNew() throws {
    let made = try image(
      [Item(entry("base", 10), origin: .base), Item(entry("RUN", 5), origin: .layer(step))], [nil, 50], epoch: 5)
    #expect(made.config.history.map { $0.created?.seconds } == [10, 5])
    #expect(made.created == Timestamp(seconds: 5))
  }

  @Test func refusesMoreStepsThanLayers() throws {
    #expect(throws: Failure.self) { try image([Item(entry("RUN"), origin: .layer(step))], []) }
  }
}
