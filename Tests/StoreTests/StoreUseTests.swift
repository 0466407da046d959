import Core
import Linux
import Synchronization
import Testing

@testable import Store

@Test func layersThatArePassedOverCountAsUsed() throws {
  let scratch = try Scratch()
  let a = try scratch.layer("a", "1")
  let b = try scratch.layer("b", "2")
  for path in try scratch.files { _ = try HostPath.setModified(path, Timestamp(seconds: 1000)) }
  let other = try scratch.another()
  let lease = try other.lease()
  defer { lease.release() }
  #expect(try other.useLayer(a.diffID) == a)
  #expect(try other.useLayer(b.diffID, as: b.diffID))
  #expect(try other.useLayer(.sha256("none")) == nil)
  #expect(try scratch.store.prune(PrunePlan.Scope()).layers.isEmpty)
}

@Test func layersOfANewImageCountAsUsed() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  for path in try scratch.files { _ = try HostPath.setModified(path, Timestamp(seconds: 1000)) }
  let lease = try scratch.store.lease()
  defer { lease.release() }
  try scratch.image([layer])
  #expect(try #require(try HostPath.status(scratch.store.paths.tar(layer.diffID))).mtime.seconds > 1000)
}

@Test func imageWaitsForACollectionBeforeItLooksAtItsLayers() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let layer = try scratch.layer("a", "1")
  // A collection that is about to take the layer.
  let gate = try store.gate(.exclusive)
  let outcome = Mutex("")
  nonisolated(unsafe) let maker = scratch
  ParallelLoop.run(2, width: 2) { side in
    if side == 0 {
      let said = message { try maker.image([layer], ["a"]) }
      outcome.withLock { $0 = said }
    } else {
      // Time for the other to go wrong.
      pause(milliseconds: 50)
      #expect(throws: Never.self) { try store.removeLayer(layer.diffID) }
      gate.release()
    }
  }
  #expect(outcome.withLock { $0 }.hasSuffix("layer \(layer.diffID) is not in the store"))
  #expect(try store.images().isEmpty)
  #expect(try store.database().rows().isEmpty)
}
