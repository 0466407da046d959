import Core
import FileTree
import Linux
import Store
import Testing

@testable import Builder

/// A directory with a store, gone with the value.
private final class Bench {
  let path: String
  let store: Store

  init() throws {
    path = try HostPath.makeTemporaryDirectory("/tmp/stave-archive-test-")
    store = try Store.open(root: path + "/store")
  }

  deinit { try? HostPath.removeTree(path) }

  func fresh(_ name: String) throws -> Store { try Store.open(root: "\(path)/\(name)") }

  @discardableResult
  func image(_ files: [(String, String)], _ tags: [String]) throws -> StoredImage {
    var layers: [Layer] = []
    for (name, text) in files {
      let writer = try store.layerWriter()
      try add(name, Array(text.utf8), to: writer.tar)
      layers.append(try writer.commit())
    }
    let config = ImageConfig(
      platform: .current, created: Timestamp(seconds: 1000), diffIDs: layers.map(\.diffID)
    ).json.bytes
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(config), size: Int64(config.count)),
      layers: layers.map { Descriptor(mediaType: MediaType.ociLayer, digest: $0.diffID, size: $0.size) })
    return try store.putImage(config: config, manifest: manifest, tags: tags.map { try ImageReference($0) })
  }

  /// A tar of `members` at `path/name`.
  func archive(_ name: String, _ members: [(String, [UInt8])]) throws -> ImageArchive.Place {
    let file = try OpenFile("\(path)/\(name)", .create)
    let tar = TarWriter(file)
    for (name, bytes) in members { try add(name, bytes, to: tar) }
    _ = try tar.finish()
    return .path("\(path)/\(name)")
  }

  private func add(_ name: String, _ bytes: [UInt8], to tar: TarWriter) throws {
    try tar.begin(
      TarEntry(path: TreePath(clamping: name), kind: .regular, mode: 0o644, size: Int64(bytes.count)))
    try tar.write(bytes)
  }
}

private func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}

/// A docker-archive of one image with the layer `tar`, whose config says `diffID`.
private func dockerArchive(_ tar: [UInt8], diffID: Digest, tags: JSON) -> [(String, [UInt8])] {
  let config = ImageConfig(platform: .current, diffIDs: [diffID]).json.bytes
  let name = Digest.sha256(config).encoded + ".json"
  let manifest = JSON.array([.object(["Config": .string(name), "RepoTags": tags, "Layers": .strings(["layer.tar"])])])
  return [("layer.tar", tar), (name, config), ("manifest.json", manifest.bytes)]
}

private func tarOf(_ name: String, _ text: String) throws -> [UInt8] {
  let sink = MemorySink()
  let tar = TarWriter(sink)
  try tar.begin(
    TarEntry(path: TreePath(clamping: name), kind: .regular, mode: 0o644, size: Int64(text.utf8.count)))
  try tar.write(Array(text.utf8))
  _ = try tar.finish()
  return sink.bytes
}

private func compressed(_ bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
  let sink = MemorySink()
  let compressor = try Compressor(compression, into: sink)
  try compressor.write(bytes)
  try compressor.finish()
  return sink.bytes
}

@Test(arguments: ImageArchive.Format.allCases, [nil, "none", "gzip", "zstd"])
func savedImageLoadsAgain(format: ImageArchive.Format, compression: String?) throws {
  let bench = try Bench()
  let image = try bench.image([("a", "1"), ("b/c", String(repeating: "xyz", count: 50_000))], ["web:1", "other:2"])
  let path = "\(bench.path)/out"
  try ImageArchive.save(
    ["web:1", image.id.short, "other:2"], from: bench.store, format: format, to: .path(path), compression: compression)
  let fresh = try bench.fresh("fresh")
  let loaded = try ImageArchive.load(.path(path), into: fresh)
  #expect(loaded.map(\.line) == ["Loaded image: other:2", "Loaded image: web:1"])
  let copy = try fresh.resolve("web:1")
  #expect(copy.id == image.id)
  if compression == nil, format != .dockerArchive { #expect(copy.manifestDigest == image.manifestDigest) }
  #expect(try fresh.check().isEmpty)
  #expect(try HostPath.read(fresh.treePath(copy.config.diffIDs[0]) + "/a") == [49])
  // Loading what is there changes nothing.
  #expect(try ImageArchive.load(.path(path), into: fresh) == loaded)
  if format != .ociDirectory {
    try ImageArchive.save(
      ["other:2", "web:1"], from: bench.store, format: format, to: .path(path + "2"), compression: compression)
    #expect(try HostPath.read(path) == HostPath.read(path + "2"))
  }
}

@Test func ociArchiveIsADockerArchiveToo() throws {
  let bench = try Bench()
  let image = try bench.image([("a", "1")], ["web:1"])
  let path = "\(bench.path)/out"
  try ImageArchive.save(["web:1"], from: bench.store, format: .ociArchive, to: .path(path), compression: "gzip")
  // Without the documents of the layout.
  let reader = TarReader(FileSource(try OpenFile(path)))
  var members: [(String, [UInt8])] = []
  while let member = try reader.next() {
    let name = member.entry.path.text
    guard member.entry.kind == .regular, name != "index.json", name != "oci-layout" else { continue }
    members.append((name, try #require(try reader.bytes(limit: 1 << 20))))
  }
  let fresh = try bench.fresh("fresh")
  let loaded = try ImageArchive.load(bench.archive("docker.tar", members), into: fresh)
  #expect(loaded.map(\.line) == ["Loaded image: web:1"])
  #expect(try fresh.resolve("web:1").id == image.id)
}

@Test func savedByIDHasNoName() throws {
  let bench = try Bench()
  let image = try bench.image([("a", "1")], ["web:1"])
  for format in [ImageArchive.Format.dockerArchive, .ociArchive] {
    let path = "\(bench.path)/\(format.rawValue)"
    try ImageArchive.save([image.id.text], from: bench.store, format: format, to: .path(path))
    let loaded = try ImageArchive.load(.path(path), into: bench.fresh(format.rawValue + "-store"))
    #expect(loaded == [.unnamed(image.id)])
    #expect(loaded.map(\.line) == ["Loaded image ID: \(image.id.text)"])
  }
}

@Test func wholeArchiveMayBeCompressedAndPiped() throws {
  let bench = try Bench()
  let tar = try tarOf("a", "1")
  let members = dockerArchive(tar, diffID: .sha256(tar), tags: .strings(["web:1"]))
  guard case .path(let path) = try bench.archive("plain", members) else { return }
  for compression in Compression.allCases {
    let bytes = try compressed(HostPath.read(path), compression)
    let packed = "\(bench.path)/\(compression.rawValue)"
    try HostPath.write(bytes, to: packed)
    let fresh = try bench.fresh(compression.rawValue + "-store")
    #expect(try ImageArchive.load(.path(packed), into: fresh).map(\.line) == ["Loaded image: web:1"])
    let piped = try bench.fresh(compression.rawValue + "-piped")
    #expect(try ImageArchive.load(.file(pipe(bytes)), into: piped).map(\.line) == ["Loaded image: web:1"])
  }
}

/// The reading end of a pipe that holds `bytes`, which must be few enough for it.
private func pipe(_ bytes: [UInt8]) throws -> OpenFile {
  let pipe = try OpenFile.pipe()
  try pipe.write.write(bytes)
  return pipe.read
}

@Test(arguments: Compression.allCases)
func layersMayBeCompressed(compression: Compression) throws {
  let bench = try Bench()
  let tar = try tarOf("a", "1")
  let members = try dockerArchive(compressed(tar, compression), diffID: .sha256(tar), tags: .strings(["web:1"]))
  _ = try ImageArchive.load(bench.archive("x.tar", members), into: bench.store)
  #expect(try bench.store.resolve("web:1").config.diffIDs == [.sha256(tar)])
}

@Test func badArchivesAreRefused() throws {
  let bench = try Bench()
  let tar = try tarOf("a", "1")
  let good = dockerArchive(tar, diffID: .sha256(tar), tags: .strings(["web:1"]))
  func load(_ members: [(String, [UInt8])]) -> String {
    message { _ = try ImageArchive.load(bench.archive("x.tar", members), into: bench.store) }
  }
  #expect(load(dockerArchive(tar, diffID: .sha256("other"), tags: .null)).contains("does not match"))
  #expect(load(dockerArchive(Array(tar.prefix(700)), diffID: .sha256(Array(tar.prefix(700))), tags: .null)) != "")
  #expect(load(Array(good.dropFirst())).contains("layer.tar: the archive does not have it"))
  #expect(load([good[0], good[2]]).contains("the archive does not have it"))
  #expect(load([good[0], (good[1].0, good[1].1 + [32]), good[2]]).contains("does not match its name"))
  #expect(load(dockerArchive(tar, diffID: .sha256(tar), tags: .strings(["Not a name"]))).contains("invalid reference"))
  #expect(load([("repositories", Array("{}".utf8))]).contains("Docker before 1.10"))
  #expect(load([("etc/passwd", [])]).contains("no image archive"))
  #expect(load([("manifest.json", Array("[{}]".utf8))]).contains("Config"))
  #expect(load([("manifest.json", Array("{".utf8))]).contains("manifest.json"))
  #expect(load([("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))]).contains("index.json"))
  // Cut anywhere, it is an error and the store stays whole.
  guard case .path(let path) = try bench.archive("good.tar", good) else { return }
  let bytes = try HostPath.read(path)
  for length in stride(from: 0, to: bytes.count - 1536, by: 512) {
    try HostPath.write(Array(bytes.prefix(length)), to: path + ".cut")
    #expect(message { _ = try ImageArchive.load(.path(path + ".cut"), into: bench.store) } != "", "\(length)")
  }
  let absent = ImageArchive.Place.path(bench.path + "/none")
  #expect(message { _ = try ImageArchive.load(absent, into: bench.store) }.contains("no such file"))
  #expect(try bench.store.images().isEmpty)
  #expect(try bench.store.check().isEmpty)
}

@Test func ociLayoutIsVerifiedAndItsPlatformPicked() throws {
  let bench = try Bench()
  let image = try bench.image([("a", "1")], ["web:1"])
  let path = "\(bench.path)/layout"
  try ImageArchive.save(["web:1"], from: bench.store, format: .ociDirectory, to: .path(path))
  var entry = try #require(try ImageIndex(json: JSON.parse(HostPath.read(path + "/index.json"))).manifests.first)
  #expect(entry.platform == .current)
  #expect(entry.annotations["org.opencontainers.image.ref.name"] == "1")
  func write(_ entries: [Descriptor]) throws {
    try HostPath.write(ImageIndex(manifests: entries).json.bytes, to: path + "/index.json")
  }
  func load(_ name: String = "s") throws -> [ImageArchive.Loaded] {
    try ImageArchive.load(.path(path), into: bench.fresh(name))
  }
  var other = entry
  other.platform = Platform(os: "linux", architecture: "s390x")
  other.digest = .sha256("absent")
  try write([other, entry])
  #expect(try load().map(\.line) == ["Loaded image: web:1"])
  try write([other])
  #expect(message { _ = try load() }.contains("only for linux/s390x"))
  entry.annotations = ["org.opencontainers.image.ref.name": "quay.io/a/b:c"]
  try write([entry])
  #expect(try load("t").map(\.line) == ["Loaded image: quay.io/a/b:c"])
  entry.annotations = ["org.opencontainers.image.ref.name": "c"]
  try write([entry])
  #expect(try load("u") == [.unnamed(image.id)])
  entry.size += 1
  try write([entry])
  #expect(message { _ = try load("v") }.contains("bytes, not"))
  entry.size -= 1
  try write([entry])
  try HostPath.write(Array(repeating: 0, count: Int(entry.size)), to: "\(path)/blobs/sha256/\(entry.digest.encoded)")
  #expect(message { _ = try load("v") }.contains("does not match"))
}

@Test func rootfsIsImported() throws {
  let bench = try Bench()
  let tar = try tarOf("etc/name", "1")
  for compression in Compression.allCases {
    let path = "\(bench.path)/rootfs.\(compression.rawValue)"
    try HostPath.write(compressed(tar, compression), to: path)
    let id = try ImageArchive.importRootfs(
      .path(path), into: bench.store, reference: ImageReference("base:\(compression.rawValue)"),
      changes: [#"CMD ["/bin/sh"]"#, "ENV a=b", "WORKDIR /x"], created: Timestamp(seconds: 3))
    let image = try #require(try bench.store.image(id))
    #expect(image.config.diffIDs == [.sha256(tar)])
    #expect(image.config.config.cmd == ["/bin/sh"])
    #expect(image.config.config.env == ["a=b"])
    #expect(image.config.config.workingDir == "/x")
    #expect(image.config.history.count == 1)
  }
  let path = "\(bench.path)/bad"
  try HostPath.write(Array("no tar at all".utf8), to: path)
  #expect(message { _ = try ImageArchive.importRootfs(.path(path), into: bench.store) }.hasPrefix("import \(path)"))
  let good = ImageArchive.Place.path("\(bench.path)/rootfs.none")
  let refusal = message { _ = try ImageArchive.importRootfs(good, into: bench.store, changes: ["RUN x"]) }
  #expect(refusal.contains("can't be applied"))
}
