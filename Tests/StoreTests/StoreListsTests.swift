import Core
import Linux
import Testing

@testable import Store

private func reference(_ text: String) throws -> ImageReference { try ImageReference(text) }

extension Scratch {
  /// A list called `name` of `images`.
  fileprivate func list(_ name: String, _ images: [StoredImage], kind: ManifestList.Kind = .draft) throws {
    let entries = images.map { image in
      ManifestList.Entry(
        Descriptor(mediaType: MediaType.ociManifest, digest: image.manifestDigest, size: 1, platform: .current),
        .store(image: image.id))
    }
    let name = try ImageReference(name)
    try store.changeList(name) { $0 = ManifestList(name: name, entries: entries, kind: kind) }
  }
}

@Test func listsAreKeptByName() throws {
  let scratch = try Scratch()
  let image = try scratch.image([scratch.layer("a", "1")])
  try scratch.list("b/list", [image])
  try scratch.list("a", [])
  let other = try scratch.another()
  #expect(try other.lists().map(\.name.familiar) == ["b/list:latest", "a:latest"])
  let list = try #require(try other.list(reference("b/list")))
  #expect(list.images == [image.id])
  #expect(try other.list(reference("none")) == nil)
  #expect(throws: CancellationError.self) {
    try other.changeList(reference("a")) { list in
      list = nil
      throw CancellationError()
    }
  }
  try other.changeList(reference("a")) { $0 = nil }
  #expect(try scratch.store.lists().map(\.name.familiar) == ["b/list:latest"])
  #expect(try scratch.store.check().isEmpty)
}

@Test func whatAListNamesIsKept() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let image = try scratch.image([layer])
  let named = try scratch.image([layer], ["named"], label: "named")
  try scratch.list("draft", [image, named])
  #expect(try scratch.store.prune(PrunePlan.Scope(danglingImages: true, unusedImages: true)).images.isEmpty)
  #expect(throws: Failure.self) { try scratch.store.removeImage(image.id.text) }
  #expect(try scratch.store.removeImage("named").deleted.isEmpty)
  #expect(try scratch.store.image(named.id)?.repoTags == [])
  // Forced, its row goes; what the list needs stays.
  _ = try scratch.store.removeImage(named.id.text, force: true)
  #expect(try scratch.store.images().map(\.id) == [image.id])
  #expect(try scratch.store.check().isEmpty)
  try scratch.store.changeList(reference("draft")) { $0 = nil }
  try scratch.store.prune(PrunePlan.Scope(danglingImages: true))
  #expect(try scratch.store.blobDigests().isEmpty)
}

@Test func anImageOfSeveralPlatformsGoesAsOne() throws {
  let scratch = try Scratch()
  let own = try scratch.image([scratch.layer("a", "1")], ["web:1"])
  let foreign = try scratch.image([scratch.layer("b", "2")], label: "foreign")
  try scratch.list("web:1", [own, foreign], kind: .image)
  try scratch.store.prune(PrunePlan.Scope(danglingImages: true))
  #expect(try scratch.store.images().count == 2)
  let removal = try scratch.store.removeImage("web:1")
  #expect(removal.untagged == ["web:1"])
  #expect(Set(removal.deleted).isSuperset(of: [own.id, foreign.id]))
  #expect(try scratch.store.lists().isEmpty)
  #expect(try scratch.store.blobDigests().isEmpty)
}

@Test func aPruneOfUnusedImagesTakesTheirLists() throws {
  let scratch = try Scratch()
  let own = try scratch.image([scratch.layer("a", "1")], ["web:1"])
  let foreign = try scratch.image([scratch.layer("b", "2")], label: "foreign")
  try scratch.list("web:1", [own, foreign], kind: .image)
  let plan = try scratch.store.prune(PrunePlan.Scope(unusedImages: true))
  #expect(plan.lists.map(\.familiar) == ["web:1"])
  #expect(plan.text.hasPrefix("list web:1\n"))
  #expect(try scratch.store.lists().isEmpty && scratch.store.blobDigests().isEmpty)
}

@Test func anotherImageOfTheNameEndsItsList() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let first = try scratch.image([layer], ["web:1", "draft"])
  try scratch.list("web:1", [first], kind: .image)
  try scratch.list("draft", [first])
  try scratch.image([layer], ["web:1", "draft"], label: "second")
  #expect(try scratch.store.lists().map(\.name.familiar) == ["draft:latest"])
}

@Test func damagedListsAreFound() throws {
  let scratch = try Scratch()
  let image = try scratch.image([scratch.layer("a", "1")], ["a"])
  try scratch.list("whole", [image])
  try scratch.list("lacking", [image])
  let lists = scratch.store.paths.lists
  try HostPath.write(Array("{".utf8), to: lists + "/broken.json")
  let absent = Digest.sha256("absent")
  try scratch.store.changeList(reference("lacking")) {
    $0?.add(.init(Descriptor(mediaType: MediaType.ociManifest, digest: absent, size: 1), .store(image: nil)))
  }
  let problems = try scratch.store.check().map(\.description)
  #expect(problems.count == 2)
  #expect(problems.contains { $0.contains("lacking") && $0.contains(absent.text) })
  #expect(try scratch.store.check(repair: true).count == 2)
  #expect(try scratch.store.lists().map(\.name.familiar) == ["whole:latest"])
}
