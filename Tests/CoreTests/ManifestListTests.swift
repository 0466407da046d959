import Testing

@testable import Core

private func entry(_ text: String, _ platform: Platform? = nil, type: String = MediaType.ociManifest)
  -> ManifestList.Entry
{
  .init(
    Descriptor(mediaType: type, digest: .sha256(text), size: 3, platform: platform),
    .store(image: .sha256("config " + text)))
}

@Test func aListIsWrittenAndRead() throws {
  var list = ManifestList(name: try ImageReference("web:1"), kind: .image)
  list.add(entry("a", Platform(os: "linux", architecture: "amd64")))
  list.add(.init(entry("b").descriptor, .registry(try ImageReference("localhost:5000/x@\(Digest.sha256("b"))"))))
  list.add(.init(entry("c").descriptor, .store(image: nil)))
  list.annotate(["k": "v"])
  #expect(try ManifestList(json: JSON.parse(list.json.bytes)) == list)
  #expect(list.images == [.sha256("config a")])
}

@Test func aListIsChanged() throws {
  let descriptor = Descriptor(mediaType: MediaType.dockerList, digest: .sha256("index"), size: 9)
  var list = ManifestList(name: try ImageReference("web:1"), entries: [entry("a"), entry("b")], document: descriptor)
  #expect(list.index.mediaType == MediaType.dockerList)
  var changes = ManifestList.Changes()
  changes.architecture = "arm64"
  changes.os = "linux"
  changes.variant = "v9"
  changes.osVersion = "1.2"
  changes.osFeatures = ["x", "x"]
  changes.annotations = ["k": "v"]
  try list.annotate(.sha256("b"), changes)
  #expect(list.document == nil)
  #expect(
    list.index.manifests[1].json.text
      == #"{"annotations":{"k":"v"},"digest":"\#(Digest.sha256("b"))","mediaType":"\#(MediaType.ociManifest)","#
      + #""platform":{"architecture":"arm64","os":"linux","os.features":["x"],"os.version":"1.2","variant":"v9"},"#
      + #""size":3}"#)
  list.add(entry("a", .current))
  #expect(list.entries.map(\.descriptor.digest) == [.sha256("a"), .sha256("b")])
  #expect(list.entries[0].descriptor.platform == .current)
  try list.remove(.sha256("a"))
  #expect(throws: Failure.self) { try list.remove(.sha256("a")) }
  #expect(throws: Failure.self) { try list.annotate(.sha256("a"), changes) }
}

@Test func aListOfDockersManifestsIsDockers() throws {
  let name = try ImageReference("web:1")
  #expect(
    ManifestList(name: name, entries: [entry("a", type: MediaType.dockerManifest)]).index.mediaType
      == MediaType.dockerList)
  #expect(ManifestList(name: name, entries: [entry("a")]).index.mediaType == MediaType.ociIndex)
}

@Test func whatIsOfNoListIsRefused() throws {
  for text in [
    "[]", "{}", #"{"name":"a"}"#, #"{"name":"a","entries":{}}"#, #"{"name":"A B","entries":[]}"#,
    #"{"name":"a","kind":"image","entries":[{}]}"#, #"{"name":"a","kind":"x","entries":[]}"#,
    #"{"name":"a","kind":"draft","entries":[],"document":1}"#,
  ] {
    #expect(throws: Failure.self) { try ManifestList(json: JSON.parse(Array(text.utf8))) }
  }
}
