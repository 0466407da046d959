import Core
import Linux
import Testing

@testable import Store

@Test func imageIsFoundByEverythingThatNamesIt() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let image = try scratch.image([layer], ["web:1", "localhost:5000/app"])
  let other = try scratch.another()
  for text in [
    "web:1", "docker.io/library/web:1", "localhost:5000/app", "localhost:5000/app:latest", image.id.text,
    image.id.encoded, image.id.short, "sha256:" + image.id.short,
  ] {
    #expect(try other.resolve(text).id == image.id, "\(text)")
  }
  #expect(image.size == layer.size)
  #expect(image.repoTags.map(\.familiar) == ["web:1", "localhost:5000/app:latest"])
  #expect(message { _ = try other.resolve("wbe:1") } == "no such image: wbe:1 (did you mean web:1?)")
  #expect(message { _ = try other.resolve("Not A Name") } == "no such image: Not A Name")
}

@Test func ambiguousPrefixIsRefused() throws {
  let scratch = try Scratch()
  var ids: [String: String] = [:]
  for i in 0..<40 {
    let id = try scratch.image([], label: "\(i)").id.encoded
    if let first = ids[String(id.prefix(1))] {
      #expect(first != id)
      #expect(message { _ = try scratch.store.resolve(String(id.prefix(1))) }.contains("image IDs begin so"))
      return
    }
    ids[String(id.prefix(1))] = id
  }
  Issue.record("no two IDs with one first digit")
}

@Test func nameMovesToTheNewImage() throws {
  let scratch = try Scratch()
  let old = try scratch.image([], ["web"], label: "old")
  let new = try scratch.image([], ["web"], label: "new")
  #expect(try scratch.store.resolve("web").id == new.id)
  #expect(try scratch.store.image(old.id)?.isDangling == true)
  try scratch.store.tag(ImageReference("web"), old.id)
  #expect(try scratch.store.resolve("web").id == old.id)
  try scratch.store.untag(ImageReference("web"))
  #expect(message { _ = try scratch.store.resolve("web") } == "no such image: web")
  #expect(try scratch.store.images().count == 2)
}

@Test func imageWithoutItsLayersIsRefused() throws {
  let scratch = try Scratch()
  let absent = Layer(diffID: .sha256("absent"), size: 5)
  #expect(message { try scratch.image([absent], ["x"]) }.contains("is not in the store"))
  #expect(try scratch.store.images().isEmpty)
}

@Test func indexSaysWhatTheDatabaseSays() throws {
  let scratch = try Scratch()
  try scratch.image([try scratch.layer("a", "1")], ["b", "a:2"], label: "1")
  try scratch.image([], label: "2")
  #expect(try scratch.store.database().rows() == scratch.store.readRows())
  let index = try ImageIndex(json: JSON.parse(HostPath.read(scratch.store.paths.index)))
  #expect(index.manifests.count == 3)
  for manifest in index.manifests { #expect(try scratch.store.hasBlob(manifest.digest)) }
  // A database that is lost comes back from the index.
  for suffix in ["", "-wal", "-shm"] { try HostPath.removeFile(scratch.store.paths.database + suffix) }
  let other = try scratch.another()
  #expect(try other.database().rows() == other.readRows())
  #expect(try other.resolve("a:2").repoTags.count == 2)
}

@Test func oneImageIsFoundWithoutParsingTheOthers() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  try scratch.image([layer], ["b", "a:2", "registry.example/b"], label: "1")
  try scratch.image([layer], ["bb", "b:20"], label: "2")
  try scratch.image([], label: "3")
  let rows = try scratch.store.readRows()
  let index = try HostPath.read(scratch.store.paths.index)
  #expect(Store.isOwnWriting(index))
  for row in rows {
    #expect(Store.findRow(row.id, in: index) == row)
    for tag in row.tags { #expect(Store.findRow(named: tag, in: index) == row) }
  }
  #expect(Store.findRow(named: "docker.io/library/b:2", in: index) == nil)
  #expect(Store.findRow(.sha256("none"), in: index) == nil)
  // As another tool might write it: found all the same.
  let pretty = Array(try JSON.parse(index).pretty().utf8)
  #expect(!Store.isOwnWriting(pretty))
  try HostPath.write(pretty, to: scratch.store.paths.index)
  #expect(try scratch.store.image(rows[0].id)?.id == rows[0].id)
  #expect(try scratch.store.resolve("b:20").id == scratch.store.resolve("bb").id)
}

@Test func removalFollowsTheNames() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let shared = try scratch.layer("a", "1")
  let own = try scratch.layer("b", "2")
  let kept = try scratch.image([shared], ["base"], label: "base")
  let image = try scratch.image([shared, own], ["web:1", "web:2"], label: "web")
  #expect(try store.removeImage("web:1").lines == ["Untagged: web:1"])
  #expect(
    try store.removeImage("web:2").lines
      == ["Untagged: web:2", "Deleted: \(image.id.text)", "Deleted: \(own.diffID.text)"])
  #expect(try store.layer(own.diffID) == nil)
  #expect(try !store.hasBlob(own.diffID))
  #expect(try store.layer(shared.diffID) != nil)
  #expect(try store.images().map(\.id) == [kept.id])
  #expect(message { _ = try store.removeImage("web:2") }.hasPrefix("no such image: web:2"))
}

@Test func removalByIDNeedsForceForSeveralRepositories() throws {
  let scratch = try Scratch()
  let image = try scratch.image([], ["a:1", "b:1"])
  #expect(message { _ = try scratch.store.removeImage(image.id.short) }.contains("several repositories"))
  let removal = try scratch.store.removeImage(image.id.short, force: true)
  #expect(removal.untagged == ["a:1", "b:1"])
  #expect(removal.deleted == [image.id])
}

@Test func usedImageStays() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let image = try scratch.image([layer], ["web"])
  let container = try scratch.container("one", image.id)
  #expect(message { _ = try scratch.store.removeImage("web") }.contains("container one uses it"))
  #expect(message { _ = try scratch.store.removeImage(image.id.text) }.contains("container one uses it"))
  #expect(try scratch.store.removeImage("web", force: true).lines == ["Untagged: web:latest"])
  #expect(try scratch.store.prunePlan(PrunePlan.Scope(danglingImages: true)).isEmpty)
  #expect(try scratch.store.removeImage(image.id.text, force: true).deleted == [image.id])
  // The container can still be started.
  #expect(try scratch.store.imageConfig(image.id).diffIDs == [layer.diffID])
  #expect(try scratch.store.prunePlan(PrunePlan.Scope(danglingImages: true)).isEmpty)
  try scratch.store.removeContainer(container.id)
  let plan = try scratch.store.prune(PrunePlan.Scope(danglingImages: true))
  #expect(plan.layers.map(\.digest) == [layer.diffID])
}

@Test func manyProcessesTagAtOnce() async throws {
  let scratch = try Scratch()
  let image = try scratch.image([])
  try await withThrowingTaskGroup(of: Void.self) { group in
    for i in 0..<8 {
      let store = try scratch.another()
      group.addTask {
        try await BlockingPool.shared.run {
          for j in 0..<5 { try store.tag(ImageReference("t\(i):\(j)"), image.id) }
        }
      }
    }
    try await group.waitForAll()
  }
  #expect(try scratch.store.image(image.id)?.repoTags.count == 40)
  #expect(try scratch.store.database().rows() == scratch.store.readRows())
}
