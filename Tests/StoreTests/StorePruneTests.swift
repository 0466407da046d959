import Core
import Linux
import Testing

@testable import Store

@Test func pruneRemovesWhatNothingNeeds() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let a = try scratch.layer("a", "1")
  let b = try scratch.layer("b", "2")
  let c = try scratch.layer("c", "3")
  let tagged = try scratch.image([a], ["a"], label: "a")
  let dangling = try scratch.image([a, b], label: "b")
  let step = try scratch.step("RUN c", c)
  let used = try scratch.step("RUN a", a)
  let stray = try store.putBlob(Array("stray".utf8))

  let plan = try store.prunePlan(PrunePlan.Scope(danglingImages: true))
  #expect(plan.images.map(\.id) == [dangling.id])
  #expect(plan.layers.map(\.digest) == [b.diffID])
  #expect(plan.steps.isEmpty)
  #expect(plan.blobs.map(\.digest).contains(stray))
  #expect(plan.text.hasPrefix("image \(dangling.id)\n"))
  #expect(try store.prune(PrunePlan.Scope(danglingImages: true)) == plan)
  #expect(try store.images().map(\.id) == [tagged.id])
  #expect(try store.layer(b.diffID) == nil)

  #expect(try store.prune(PrunePlan.Scope(buildCache: true, until: Timestamp(seconds: 50))).isEmpty)
  #expect(try store.prune(PrunePlan.Scope(buildCache: true)).steps == [step.key])
  #expect(try store.layer(c.diffID) == nil)
  #expect(try store.step(forKey: used.key) != nil)
  #expect(try store.prune(PrunePlan.Scope(everyStep: true)).steps == [used.key])
  #expect(try store.prune(PrunePlan.Scope(unusedImages: true)).images.map(\.names) == [["a:latest"]])
  #expect(try store.layerIDs().isEmpty)
  #expect(try store.blobDigests().isEmpty)
  #expect(try store.check().isEmpty)
}

@Test func logsOfFailedStepsGoWithTheCache() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  try scratch.image([layer], ["a"])
  let kept = try scratch.step("RUN a", layer)
  let log = try scratch.store.temporaryPath("log")
  try HostPath.write(Array("failed".utf8), to: log)
  let path = try scratch.store.keepLog(from: log, key: .sha256("failed"))
  try scratch.store.putAlias(.sha256("old"), to: .sha256("gone"))
  try scratch.store.prune(PrunePlan.Scope(danglingImages: true))
  #expect(try HostPath.status(path) != nil)
  try scratch.store.prune(PrunePlan.Scope(buildCache: true))
  #expect(try HostPath.status(path) == nil)
  #expect(try scratch.store.alias(.sha256("old")) == nil)
  #expect(try scratch.store.step(forKey: kept.key) != nil)
  #expect(try scratch.store.alias(kept.definitionKey) == kept.key)
  #expect(try scratch.store.preimage(ofStep: kept.key) != nil)
}

@Test func leaseKeepsTheCollectorAway() throws {
  let scratch = try Scratch()
  let other = try scratch.another()
  let lease = try other.lease()
  #expect(message { _ = try scratch.store.prune(PrunePlan.Scope()) }.contains("another stave command"))
  let layer = try scratch.layer("a", "1")
  try scratch.image([layer], ["a"])
  _ = try scratch.store.removeImage("a")
  #expect(try scratch.store.layer(layer.diffID) != nil)
  lease.release()
  #expect(try scratch.store.prune(PrunePlan.Scope()).layers.map(\.digest) == [layer.diffID])
}

@Test func usageCountsOnce() throws {
  let scratch = try Scratch()
  let a = try scratch.layer("a", String(repeating: "x", count: 10_000))
  let b = try scratch.layer("b", "2")
  let image = try scratch.image([a], ["a"])
  try scratch.image([a], ["b"], label: "b")
  _ = try scratch.step("RUN b", b)
  _ = try scratch.container("one", image.id)
  let usage = try scratch.store.du()
  #expect(usage.images.total == 2)
  #expect(usage.images.active == 1)
  #expect(usage.images.size >= a.size)
  #expect(usage.images.size < 2 * a.size)
  #expect(usage.images.reclaimable < a.size)
  #expect(usage.buildCache.total == 1)
  #expect(usage.buildCache.reclaimable == b.size)
  #expect(usage.containers.total == 1)
}

@Test func checkFindsAndRepairs() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let a = try scratch.layer("a", "1")
  let b = try scratch.layer("b", "2")
  try scratch.image([a], ["good"], label: "good")
  try scratch.image([a, b], ["bad"], label: "bad")
  _ = try scratch.step("RUN b", b)
  #expect(try store.check().isEmpty)
  try scratch.damage(b.diffID)
  try HostPath.write(Array("x".utf8), to: store.paths.blobs + "/odd")
  let found = try store.check()
  #expect(found.map(\.object).contains("blob \(b.diffID)"))
  #expect(found.map(\.object).contains("blobs/sha256/odd"))
  #expect(try store.check(repair: true).map(\.object).contains("image bad:latest"))
  #expect(try store.check().isEmpty)
  #expect(try store.images().flatMap(\.repoTags).map(\.familiar) == ["good:latest"])
  try HostPath.write(ImageIndex(manifests: []).json.bytes, to: store.paths.index)
  #expect(try store.check(repair: true).map(\.object) == ["index.json"])
  #expect(try store.resolve("good").repoTags.count == 1)
}
