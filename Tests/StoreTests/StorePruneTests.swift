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
  #expect(try store.prune(PrunePlan.Scope(buildCache: true)).steps.map(\.key) == [step.key])
  #expect(try store.layer(c.diffID) == nil)
  #expect(try store.step(forKey: used.key) != nil)
  #expect(try store.prune(PrunePlan.Scope(everyStep: true)).steps.map(\.key) == [used.key])
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

@Test func whatALeaseUsesStays() throws {
  let scratch = try Scratch()
  let old = try scratch.layer("old", "1")
  let garbage = try scratch.layer("garbage", "1")
  let step = try scratch.step("RUN old", old)
  let based = try scratch.layer("base", "1")
  let base = try scratch.image([based], ["base"])
  let blob = try scratch.store.putBlob(Array("blob".utf8))
  for path in try scratch.files { _ = try HostPath.setModified(path, Timestamp(seconds: 1000)) }

  let other = try scratch.another()
  let lease = try other.lease()
  #expect(try other.step(forKey: step.key) != nil)
  #expect(try other.resolve("base").id == base.id)
  #expect(try other.putBlob(Array("blob".utf8)) == blob)
  let made = try other.layerWriter().commit()
  // Neither a prune nor the removal of the image takes what the other one works with, but the rest.
  #expect(try scratch.store.prune(PrunePlan.Scope(unusedImages: true, everyStep: true)).images.isEmpty)
  #expect(try scratch.store.removeImage("base").deleted == [base.id])
  #expect(try scratch.store.prune(PrunePlan.Scope(unusedImages: true, everyStep: true)).isEmpty)
  #expect(try scratch.store.layer(garbage.diffID) == nil)
  for layer in [old, based, made] { #expect(try scratch.store.layer(layer.diffID) != nil) }
  #expect(try scratch.store.hasBlob(blob))
  #expect(try scratch.store.hasBlob(base.id))
  lease.release()
  let plan = try scratch.store.prune(PrunePlan.Scope(everyStep: true))
  #expect(Set(plan.layers.map(\.digest)) == [old.diffID, based.diffID, made.diffID])
  #expect(plan.steps.map(\.key) == [step.key])
  #expect(try scratch.store.blobDigests().isEmpty)
}

@Test func ownLeaseOfLongAgoHoldsWhatCameSince() throws {
  let scratch = try Scratch()
  let lease = try scratch.store.lease()
  let second = try scratch.another().lease()
  let layer = try scratch.layer("a", "1")
  lease.release()
  #expect(try scratch.store.prune(PrunePlan.Scope()).isEmpty)
  second.release()
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
  let usage = try scratch.store.usage()
  #expect(usage.images.count == 2)
  // The index counts with its layer.
  let whole = try scratch.store.size(ofLayer: a.diffID)
  #expect(whole > a.size)
  #expect(usage.images.map(\.sharedSize) == [whole, whole])
  #expect(usage.images.map(\.uniqueSize) == [0, 0])
  #expect(usage.imageBytes >= a.size)
  #expect(usage.imageBytes < 2 * whole)
  #expect(usage.reclaimableImageBytes < a.size)
  #expect(usage.steps.map(\.key) == [b].map { _ in Digest.sha256("RUN b") })
  #expect(!usage.steps[0].isShared)
  #expect(usage.cacheBytes == usage.steps[0].size)
  #expect(usage.cacheBytes >= b.size)
  #expect(usage.containers.count == 1)
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

@Test func repairOfASoundStoreWaitsForNobody() throws {
  let scratch = try Scratch()
  try scratch.image([scratch.layer("a", "1")], ["a"])
  // One who looks something up right now.
  let gate = try scratch.store.gate(.shared)
  defer { gate.release() }
  #expect(try scratch.store.check(repair: true).isEmpty)
}

@Test func repairLeavesWhatARunningContainerUses() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let used = try scratch.layer("a", "1")
  let other = try scratch.layer("b", "2")
  let image = try scratch.image([used], ["a"])
  let record = try scratch.container("one", image.id)
  let process = try #require(ProcessIdentity(pid: Machine.processID))
  try store.setState(record.id, .running(process: process, started: Timestamp(seconds: 5)))
  for layer in [used, other] { try scratch.damage(layer.diffID) }
  let found = try store.check(repair: true).filter { $0.object.hasPrefix("blob") }
  #expect(
    Set(found.map(\.description)) == [
      "blob \(used.diffID): the content is damaged; the running container one uses it",
      "blob \(other.diffID): the content is damaged (repaired)",
    ])
  #expect(try store.layer(used.diffID) != nil)
  try store.setState(record.id, .created)
  #expect(try store.check(repair: true).contains { $0.object == "blob \(used.diffID)" && $0.isRepaired })
  #expect(try store.layer(used.diffID) == nil)
}

@Test func repairWaitsForOtherCommands() throws {
  let scratch = try Scratch()
  let lease = try scratch.another().lease()
  #expect(
    message { _ = try scratch.store.check(repair: true) }.contains("another stave command is building or loading"))
  lease.release()
  #expect(try scratch.store.check(repair: true).isEmpty)
}
