import Builder
import Core
import FileTree
import Linux
import Registry
import Store
import Testing

/// A store with images, gone with the value.
private final class Bench {
  let path: String
  let store: Store
  let lease: Lease

  init() throws {
    path = try HostPath.makeTemporaryDirectory("/tmp/stave-list-test-")
    store = try Store.open(root: path + "/store")
    lease = try store.lease()
  }

  deinit { try? HostPath.removeTree(path) }

  func image(_ platform: String, _ tag: String? = nil) throws -> StoredImage {
    let writer = try store.layerWriter()
    let bytes = Array(platform.utf8)
    try writer.tar.begin(
      TarEntry(path: TreePath(clamping: "file"), kind: .regular, mode: 0o644, size: Int64(bytes.count)))
    try writer.tar.write(bytes)
    let layer = try writer.commit()
    let config = ImageConfig(platform: try Platform(platform), diffIDs: [layer.diffID]).json.bytes
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(config), size: Int64(config.count)),
      layers: [Descriptor(mediaType: MediaType.ociLayer, digest: layer.diffID, size: layer.size)])
    return try store.putImage(config: config, manifest: manifest, tags: try tag.map { [try ImageReference($0)] } ?? [])
  }

  func push(_ list: ManifestList, to name: String, _ registry: MemoryRegistry) async throws -> Descriptor {
    let images = try ImagePush(store: store, client: registry.client) { _ in }
    return try await ListPush(store: store, client: registry.client, images: images) { _ in }
      .push(list, to: ImageReference(name))
  }
}

@Test func aListGoesWithItsImages() async throws {
  let bench = try Bench()
  let registry = MemoryRegistry()
  let images = [try bench.image("linux/amd64"), try bench.image("linux/arm64")]
  let list = ManifestList(
    name: try ImageReference("r.example/app:1"), entries: try images.map { try ListSource.entry($0, bench.store) })
  let sent = try await bench.push(list, to: "r.example/app:1", registry)
  let index = try ImageIndex(json: JSON.parse(try #require(registry.manifest("app 1")).bytes))
  #expect(registry.manifest("app 1").map { Digest.sha256($0.bytes) } == sent.digest)
  #expect(index.manifests.compactMap(\.platform?.architecture) == ["amd64", "arm64"])
  for entry in index.manifests {
    // The layers went compressed, so that the manifests are not those of the store.
    let manifest = try ImageManifest(json: JSON.parse(try #require(registry.manifest("app \(entry.digest)")).bytes))
    #expect(manifest.layers.map(\.mediaType) == [MediaType.ociLayerGzip])
    #expect(registry.blob("app \(manifest.layers[0].digest)") != nil)
  }
  // Into another repository, by mounts.
  let found = try ListSource(store: bench.store, client: registry.client).entries("docker://r.example/app:1", all: true)
  let copy = ManifestList(name: list.name, entries: found)
  #expect(try await bench.push(copy, to: "r.example/other/app:2", registry).digest == sent.digest)
  #expect(!registry.lines.contains { $0.hasPrefix("GET /v2/app/blobs") })
}

@Test func anIndexComesAndGoesByteForByte() async throws {
  let bench = try Bench()
  let registry = MemoryRegistry()
  let images = [try bench.image("linux/s390x"), try bench.image(Platform.current.description)]
  let list = ManifestList(
    name: try ImageReference("r.example/app:1"), entries: try images.map { try ListSource.entry($0, bench.store) })
  _ = try await bench.push(list, to: "r.example/app:1", registry)
  let other = try Bench()
  let name = try ImageReference("r.example/app:1")
  let pull = ImagePull(store: other.store, client: registry.client) { _ in }
  let pulled = try await pull.pullAll(name)
  #expect(pulled.image.id == images[1].id && pulled.isNew)
  #expect(try other.store.resolve("r.example/app:1").id == images[1].id)
  #expect(try other.store.resolve("r.example/app:1", platform: Platform("linux/s390x"))?.id == images[0].id)
  #expect(try other.store.resolve("r.example/app:1", platform: Platform("linux/riscv64")) == nil)
  let kept = try #require(try other.store.list(name))
  #expect(kept.kind == .image && kept.images == images.map(\.id))
  let target = MemoryRegistry()
  let sent = try await other.push(kept, to: "r.example/elsewhere:1", target)
  #expect(sent.digest == pulled.digest)
  #expect(target.manifest("elsewhere 1")?.bytes == registry.manifest("app 1")?.bytes)
  #expect(try await !pull.pullAll(name).isNew)
  #expect(try other.store.check().isEmpty)
}

@Test func aBaseOfAnotherPlatformTakesNoName() async throws {
  let bench = try Bench()
  let registry = MemoryRegistry()
  let foreign = try Platform("linux/s390x")
  let images = [try bench.image("linux/s390x"), try bench.image(Platform.current.description)]
  let list = ManifestList(
    name: try ImageReference("r.example/app:1"), entries: try images.map { try ListSource.entry($0, bench.store) })
  _ = try await bench.push(list, to: "r.example/app:1", registry)
  let other = try Bench()
  let name = try ImageReference("r.example/app:1")
  let pull = ImagePull(store: other.store, client: registry.client) { _ in }
  _ = try await pull.pull(name, platform: .current)
  #expect(try await pull.pullBeside(name, platform: foreign).image.id == images[0].id)
  #expect(try other.store.resolve("r.example/app:1").id == images[1].id)
  #expect(try other.store.resolve("r.example/app:1", platform: foreign)?.id == images[0].id)
  other.lease.release()
  try other.store.prune(PrunePlan.Scope(danglingImages: true))
  #expect(try other.store.images().count == 2)
  _ = try other.store.removeImage("r.example/app:1")
  #expect(try other.store.images().isEmpty)
}

@Test func entriesAreFoundHereAndThere() async throws {
  let bench = try Bench()
  let registry = MemoryRegistry()
  let image = try bench.image("linux/arm64", "r.example/app:1")
  let source = ListSource(store: bench.store, client: registry.client)
  #expect(try source.entries("r.example/app:1", all: false)[0].place == .store(image: image.id))
  #expect(throws: Failure.self) { try source.entries("docker://r.example/app:1", all: false) }
  #expect(throws: Failure.self) { try source.entries("containers-storage:nothing", all: false) }
  let pushed = try await ImagePush(store: bench.store, client: registry.client) { _ in }
    .push(image, to: ImageReference("r.example/app:1"))
  let entry = try source.entries("docker://r.example/app:1", all: false)[0]
  #expect(entry.descriptor.digest == pushed.descriptor.digest)
  #expect(entry.descriptor.platform?.architecture == "arm64")
  let list = ManifestList(name: try ImageReference("l"), entries: [entry])
  #expect(try source.digest("docker://r.example/app:1", in: list) == entry.descriptor.digest)
  #expect(try source.digest(entry.descriptor.digest.text, in: list) == entry.descriptor.digest)
  #expect(throws: Failure.self) { try source.digest("nothing", in: list) }
}
