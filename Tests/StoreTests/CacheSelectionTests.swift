import Core
import Linux
import Testing

@testable import Store

/// A store of records alone: `RUN 1` on `RUN 0` and so on, each with a layer of its own.
private struct Chain {
  var inventory = StoreInventory()
  let now = Timestamp(seconds: 1_000_000)

  /// Adds a step on top of the step at `parent`; returns its position.
  @discardableResult
  mutating func add(
    on parent: Int? = nil, bytes: Int64 = 1000, seconds: Int64 = 1, idle: Int64 = 0
  ) -> Int {
    let position = inventory.records.count
    let layer = Digest.sha256("layer \(position)")
    // The inventory is sorted by key; sequential keys keep positions.
    let digits = String(position)
    let zeros = String(repeating: "0", count: 64 - digits.count)
    guard let key = try? Digest("sha256:" + zeros + digits) else { return position }
    let below = parent.map { inventory.records[$0].stack } ?? []
    inventory.records.append(
      StoreInventory.Record(
        key: key, definitionKey: key, title: "RUN \(position)", layer: layer, stack: below + [layer], size: 0,
        cost: seconds * 1_000_000_000, started: now, lastUsed: Timestamp(seconds: now.seconds - idle)))
    inventory.layers.append(StoreInventory.Object(digest: layer, size: bytes, lastUsed: Timestamp(seconds: 0)))
    return position
  }

  func plan(_ scope: PrunePlan.Scope) -> PrunePlan { PrunePlan(inventory, scope, now: now) }

  /// The positions of the records that go under a limit, in order.
  func removed(keeping limit: Int64) -> [String] {
    plan(PrunePlan.Scope(buildCache: true, keepStorage: limit)).steps.map(\.title)
  }
}

@Test func cheapAndLargeGoesBeforeDearAndSmall() {
  var chain = Chain()
  chain.add(bytes: 1000, seconds: 100)
  chain.add(bytes: 1000, seconds: 1)
  chain.add(bytes: 5000, seconds: 1)
  #expect(chain.removed(keeping: 7000).isEmpty)
  #expect(chain.removed(keeping: 6999) == ["RUN 2"])
  #expect(chain.removed(keeping: 1999) == ["RUN 2", "RUN 1"])
  #expect(chain.removed(keeping: 0) == ["RUN 2", "RUN 1", "RUN 0"])
}

@Test func longUnusedGoesBeforeRecent() {
  var chain = Chain()
  chain.add(idle: 10)
  chain.add(idle: 100_000)
  #expect(chain.removed(keeping: 1000) == ["RUN 1"])
  // What is dear enough stays whatever its age.
  chain.inventory.records[1].cost *= 1000
  #expect(chain.removed(keeping: 1000) == ["RUN 0"])
}

@Test func whatLiesBelowGoesAfterWhatStandsOnIt() {
  var chain = Chain()
  let base = chain.add(bytes: 100_000, seconds: 0, idle: 500_000)
  let middle = chain.add(on: base, bytes: 10, seconds: 50, idle: 400_000)
  chain.add(on: middle, bytes: 10, seconds: 50, idle: 5)
  chain.add(bytes: 10, seconds: 50, idle: 300_000)
  let plan = chain.plan(PrunePlan.Scope(buildCache: true, keepStorage: 0))
  #expect(plan.steps.map(\.title) == ["RUN 3", "RUN 2", "RUN 1", "RUN 0"])
  // Used through what stands on it.
  #expect(plan.steps.map { chain.now.seconds - $0.lastUsed.seconds } == [300_000, 5, 5, 5])
  #expect(plan.cacheBefore == 100_030)
  #expect(plan.cacheAfter == 0)
  #expect(chain.plan(PrunePlan.Scope(buildCache: true, keepStorage: 100_020)).layers.count == 1)
}

@Test func imagesAndLeasesKeepTheirLayers() {
  var chain = Chain()
  let a = chain.add()
  let b = chain.add(on: a)
  chain.add(on: b, idle: 500)
  let c = chain.add(idle: 5)
  chain.inventory.images = [
    StoreInventory.Image(
      id: .sha256("image"), names: ["web:1"], created: nil, labels: [:],
      contents: StoreInventory.Contents(layers: [chain.inventory.layers[a].digest, chain.inventory.layers[b].digest]),
      lastUsed: Timestamp(seconds: 0))
  ]
  chain.inventory.oldestLease = Timestamp(seconds: chain.now.seconds - 6)
  let plan = chain.plan(PrunePlan.Scope(buildCache: true))
  #expect(plan.steps.map(\.title) == ["RUN 2"])
  #expect(plan.layers.map(\.digest) == [chain.inventory.records[2].stack[2]])
  #expect(plan.cacheBefore == 2000)
  #expect(plan.cacheAfter == 1000)
  // All: those of the image too, but no layer of it.
  chain.inventory.records[a].lastUsed = Timestamp(seconds: 0)
  chain.inventory.records[b].lastUsed = Timestamp(seconds: 0)
  let all = chain.plan(PrunePlan.Scope(everyStep: true))
  #expect(all.steps.map(\.title) == ["RUN 0", "RUN 1", "RUN 2"])
  #expect(all.layers.count == 1)
  #expect(!all.steps.contains { $0.key == chain.inventory.records[c].key })
}

@Test func untilMeansLastUsed() {
  var chain = Chain()
  let old = chain.add(idle: 1000)
  chain.add(on: old, idle: 10)
  chain.add(idle: 1000)
  let scope = PrunePlan.Scope(buildCache: true, until: Timestamp(seconds: chain.now.seconds - 100))
  #expect(chain.plan(scope).steps.map(\.title) == ["RUN 2"])
}

@Test func labelsChooseImages() {
  var inventory = StoreInventory()
  for (name, labels) in [("a", ["keep": "yes"]), ("b", ["keep": "no"]), ("c", [:])] {
    inventory.images.append(
      StoreInventory.Image(
        id: .sha256(name), names: [name], created: nil, labels: labels, contents: StoreInventory.Contents(),
        lastUsed: Timestamp(seconds: 0)))
  }
  func names(_ condition: LabelCondition) -> [[String]] {
    PrunePlan(inventory, PrunePlan.Scope(unusedImages: true, labels: condition), now: Timestamp(seconds: 0))
      .images.map(\.names)
  }
  #expect(names(LabelCondition(wanted: ["keep"])) == [["a"], ["b"]])
  #expect(names(LabelCondition(wanted: ["keep=no"])) == [["b"]])
  #expect(names(LabelCondition(unwanted: ["keep=yes"])) == [["b"], ["c"]])
  #expect(names(LabelCondition()) == [["a"], ["b"], ["c"]])
}

@Test func cacheIsLimitedAfterBuilds() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let first = try scratch.layer("a", String(repeating: "a", count: 100_000))
  _ = try scratch.step("RUN a", first)
  #expect(try store.limitCache(to: .bytes(500_000))?.isEmpty == true)
  // Nothing was made since, so nothing is looked at; then little was made, and it still fits.
  #expect(try store.limitCache(to: .bytes(1)) == nil)
  let second = try scratch.layer("b", String(repeating: "b", count: 100_000))
  _ = try scratch.step("RUN b", second)
  #expect(try store.limitCache(to: .bytes(500_000)) == nil)
  let third = try scratch.layer("c", String(repeating: "c", count: 100_000))
  _ = try scratch.step("RUN c", third)
  let plan = try #require(try store.limitCache(to: .bytes(240_000)))
  #expect(plan.steps.count == 2)
  #expect(plan.cacheAfter <= 216_000)
  #expect(try store.steps().count == 1)
  #expect(try store.limitCache(to: .unlimited) == nil)
  #expect(try store.check().isEmpty)
}

@Test func cacheOfAKilledBuildIsLookedAt() throws {
  let scratch = try Scratch()
  _ = try scratch.layer("a", String(repeating: "a", count: 1000))
  _ = try scratch.store.limitCache(to: .bytes(500_000))
  #expect(try scratch.store.growCacheEstimate(by: 1) < .max)
  try HostPath.makeDirectories(scratch.store.root + "/tmp/99-dead")
  #expect(try scratch.another().growCacheEstimate(by: 1) == .max)
}

@Test func everyCollectionSetsTheNumberRight() throws {
  let scratch = try Scratch()
  _ = try scratch.step("RUN a", scratch.layer("a", String(repeating: "a", count: 100_000)))
  _ = try scratch.store.limitCache(to: .bytes(500_000))
  #expect(try scratch.store.growCacheEstimate(by: 0) > 100_000)
  let plan = try scratch.store.prune(PrunePlan.Scope(buildCache: true))
  #expect(plan.cacheBefore > 100_000)
  #expect(try scratch.store.growCacheEstimate(by: 7) == plan.cacheAfter + 7)
}

@Test func whatACancelledBuildMadeCounts() throws {
  let scratch = try Scratch()
  _ = try scratch.store.prune(PrunePlan.Scope())
  let layer = try scratch.layer("a", "1")
  try scratch.store.countCache()
  #expect(try scratch.store.growCacheEstimate(by: 0) == layer.size)
  // Nobody looked.
  #expect(try scratch.store.layer(layer.diffID) != nil)
}
