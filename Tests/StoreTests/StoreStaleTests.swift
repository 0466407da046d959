import Core
import FileTree
import Linux
import Synchronization
import Testing

@testable import Store

/// The states between two steps of a change, as a kill leaves them.
@Test func blobWithoutItsLayerIsAdopted() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  // Killed between the rename of the blob and the link of the layer.
  try HostPath.removeTree(scratch.store.paths.layer(layer.diffID))
  #expect(try scratch.store.layer(layer.diffID) == nil)
  #expect(try scratch.store.check().isEmpty)
  #expect(try scratch.layer("a", "1") == layer)
  #expect(try scratch.store.layer(layer.diffID) == layer)
}

@Test func layerDirectoryWithoutTarIsFilled() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  try HostPath.removeFile(scratch.store.paths.tar(layer.diffID))
  #expect(try scratch.store.layer(layer.diffID) == nil)
  #expect(try scratch.layer("a", "1") == layer)
  #expect(try scratch.store.check().isEmpty)
}

@Test func indexAheadOfTheDatabaseIsWrittenAnew() throws {
  let scratch = try Scratch()
  let image = try scratch.image([], ["a"])
  var rows = try scratch.store.readRows()
  rows[0].tags.append("docker.io/library/ghost:1")
  try scratch.store.writeIndex(rows)
  #expect(try scratch.store.resolve("ghost:1").id == image.id)
  try scratch.store.tag(ImageReference("b"), image.id)
  #expect(message { _ = try scratch.store.resolve("ghost:1") }.hasPrefix("no such image"))
  #expect(try scratch.store.check().isEmpty)
}

@Test func removedImageLeavesOnlyGarbage() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let image = try scratch.image([layer], ["a"])
  // Killed between the transaction and the removal of the files.
  try scratch.store.database().change(scratch.store) { try $0.remove(image.id) }
  #expect(try scratch.store.check().isEmpty)
  #expect(try scratch.image([layer], ["b"]).id == image.id)
  #expect(try scratch.store.removeImage("b").deleted == [image.id, layer.diffID])
  #expect(try scratch.store.blobDigests().isEmpty)
}

@Test func nameOfAContainerThatIsGoneIsFree() throws {
  let scratch = try Scratch()
  let record = try scratch.container("one", nil)
  try HostPath.removeTree(scratch.store.containerPath(record.id))
  #expect(try !scratch.store.isNameTaken("one"))
  #expect(try scratch.container("one", nil).name == "one")
  #expect(try scratch.store.containers().count == 1)
}

@Test func unnamedContainerStaysListed() throws {
  let scratch = try Scratch()
  let record = try scratch.container("one", nil)
  try HostPath.removeFile(scratch.store.paths.containerNames + "/one")
  #expect(try scratch.store.container(record.shortID).name == "one")
  try scratch.store.removeContainer(record.id)
  #expect(try scratch.store.containers().isEmpty)
}

@Test func indexOfAKilledChangeIsWrittenAnew() throws {
  let scratch = try Scratch()
  try scratch.image([], ["a"])
  var rows = try scratch.store.readRows()
  rows[0].tags.append("docker.io/library/ghost:1")
  // Killed between the writing of the index and the commit.
  try scratch.store.writeIndex(rows)
  try HostPath.write([], to: scratch.store.paths.indexPending)
  let other = try scratch.another()
  #expect(message { _ = try other.resolve("ghost:1") }.hasPrefix("no such image"))
  #expect(try HostPath.status(scratch.store.paths.indexPending) == nil)
  #expect(try other.check().isEmpty)
}

@Test func layerThatIsBeingMadeIsNeverWithoutItsTar() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  // Two commands at once: the second finds the directory of the first.
  #expect(try scratch.store.adoptBlobAsLayer(layer.diffID) == layer)
  #expect(try scratch.temporaries.count <= 1)
  #expect(try scratch.store.check().isEmpty)
}

@Test func changeThatWritesNoIndexSettlesThatOfAKilledOne() throws {
  let scratch = try Scratch()
  try scratch.image([], ["a"])
  var rows = try scratch.store.readRows()
  rows[0].tags.append("docker.io/library/ghost:1")
  try scratch.store.writeIndex(rows)
  try HostPath.write([], to: scratch.store.paths.indexPending)
  try scratch.store.link(compressed: .sha256("blob"), to: .sha256("layer"), mediaType: MediaType.ociLayerGzip)
  #expect(try HostPath.status(scratch.store.paths.indexPending) == nil)
  #expect(try scratch.store.readRows() == scratch.store.database().rows())
}

@Test func changeWaitsForTheMarkOfTheOneBefore() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let image = try scratch.image([], ["a"])
  // One that has committed, and whose mark still stands.
  let lock = try FileLock.acquire(store.paths.root, .exclusive)
  try HostPath.write([], to: store.paths.indexPending)
  let order = Mutex<[String]>([])
  let isInside = Mutex(false)
  ParallelLoop.run(2, width: 2) { side in
    if side == 0 {
      #expect(throws: Never.self) {
        try store.database().change(store) { transaction in
          try transaction.tag("docker.io/library/b:latest", image.id)
          isInside.withLock { $0 = true }
        }
      }
      order.withLock { $0.append("second") }
    } else {
      while !isInside.withLock({ $0 }) { pause(milliseconds: 1) }
      // Time for the other to go wrong.
      pause(milliseconds: 50)
      order.withLock { $0.append("first") }
      #expect(throws: Never.self) { try HostPath.removeFile(store.paths.indexPending) }
      lock.release()
    }
  }
  #expect(order.withLock { $0 } == ["first", "second"])
  #expect(try HostPath.status(store.paths.indexPending) == nil)
  #expect(try store.readRows() == store.database().rows())
}

@Test func collectionBelievesTheDatabase() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let image = try scratch.image([layer], ["a"])
  // An index that is behind, without a mark.
  try scratch.store.writeIndex([])
  #expect(try scratch.store.prune(PrunePlan.Scope()).isEmpty)
  #expect(try scratch.store.layer(layer.diffID) != nil)
  #expect(try scratch.store.database().rows().map(\.id) == [image.id])
}

@Test(arguments: ["", "\n{\"state\":", "\n{\"state\":{}}\n"])
func containerWhoseStateIsLostStays(left: String) throws {
  let scratch = try Scratch()
  let store = scratch.store
  let record = try scratch.container("one", nil)
  try HostPath.write(Array("kept".utf8), to: store.containerPath(record.id) + "/upper/file")
  // As a power cut may leave it: the lines after the first are lost, or damaged.
  let path = store.containerFile(record.id).path
  let line = try #require(String(decoding: HostPath.read(path), as: UTF8.self).split(separator: "\n").first)
  try HostPath.write(Array("\n\(line)\n\(left)".utf8), to: path)
  #expect(try store.check(repair: true).isEmpty)
  let state = try store.container("one").state
  #expect(state == .exited(code: 255, started: nil, finished: record.created, error: "its state was lost"))
  #expect(try store.containers().map(\.state) == [state])
  #expect(try HostPath.status(store.containerPath(record.id) + "/upper/file") != nil)
}

@Test func damagedContainerKeepsItsImage() throws {
  let scratch = try Scratch()
  let image = try scratch.image([scratch.layer("a", "1")])
  let record = try scratch.container("one", image.id)
  let lines = ContainerFile.lines(.object(["image": .string(image.id.text)]), .created)
  try HostPath.write(lines, to: scratch.store.containerFile(record.id).path)
  #expect(try scratch.store.containers().isEmpty)
  #expect(try scratch.store.prune(PrunePlan.Scope(unusedImages: true)).isEmpty)
  #expect(try scratch.store.check().map(\.object) == ["container \(record.shortID)"])
}

@Test func collectionEndsWhereTheSystemShowsNothing() throws {
  let scratch = try Scratch()
  let image = try scratch.image([scratch.layer("a", "1")])
  let record = try scratch.container("one", image.id)
  let config = scratch.store.containerFile(record.id).path
  // What stands there can't be read now, as with too many open files.
  try HostPath.removeFile(config)
  try HostPath.makeDirectories(config)
  #expect(throws: SystemError.self) { try scratch.store.prune(PrunePlan.Scope(unusedImages: true)) }
  #expect(throws: SystemError.self) { try scratch.store.removeImage(image.id.text) }
  #expect(throws: SystemError.self) { try scratch.store.check(repair: true) }
  #expect(try scratch.store.image(image.id) != nil)
}
