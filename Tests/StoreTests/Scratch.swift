import Core
import FileTree
import Linux

@testable import Store

/// A store in a directory of its own, gone with the value.
final class Scratch {
  let path: String
  let store: Store

  init() throws {
    path = try HostPath.makeTemporaryDirectory("/tmp/stave-store-test-")
    store = try Store.open(root: path + "/store")
  }

  deinit { try? HostPath.removeTree(path) }

  /// The same store as another process sees it.
  func another() throws -> Store { try Store.open(root: path + "/store") }

  /// A layer of the file `name`.
  func layer(_ name: String, _ text: String) throws -> Layer {
    let writer = try store.layerWriter()
    let bytes = Array(text.utf8)
    try writer.tar.begin(
      TarEntry(path: TreePath(clamping: name), kind: .regular, mode: 0o644, size: Int64(bytes.count)))
    try writer.tar.write(bytes)
    return try writer.commit()
  }

  /// An image of `layers` with `tags`; `label` makes it differ from others.
  @discardableResult
  func image(
    _ layers: [Layer], _ tags: [String] = [], label: String = "", created: Int64 = 1000
  ) throws -> StoredImage {
    var config = ImageConfig(
      platform: Platform(os: "linux", architecture: "amd64"), created: Timestamp(seconds: created),
      diffIDs: layers.map(\.diffID))
    if !label.isEmpty { config.config.labels = ["label": label] }
    let bytes = config.json.bytes
    let manifest = ImageManifest(
      config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(bytes), size: Int64(bytes.count)),
      layers: layers.map { Descriptor(mediaType: MediaType.ociLayer, digest: $0.diffID, size: $0.size) })
    return try store.putImage(config: bytes, manifest: manifest, tags: tags.map { try ImageReference($0) })
  }

  func container(_ name: String, _ image: Digest?) throws -> ContainerRecord {
    let record = ContainerRecord(
      id: Store.makeContainerID(), name: name, created: Timestamp(seconds: 5), image: image, imageName: "x")
    try store.createContainer(record)
    return record
  }

  func step(_ text: String, _ layer: Layer?, started: Int64 = 100) throws -> StepRecord {
    let record = StepRecord(
      key: .sha256(text), definitionKey: .sha256("definition " + text),
      preimage: Preimage(.object(["text": .string(text)])),
      resultDiffID: layer?.diffID, started: Timestamp(seconds: started), durations: ["run": 5], title: text)
    try store.putStep(record)
    return record
  }

  /// Puts `text` over the blob's content, as a bad disk does.
  func damage(_ digest: Digest, _ text: String = "damaged") throws {
    let path = try store.paths.blob(digest)
    try OpenFile(path, .readWrite).write(Array(text.utf8))
  }

  /// Every blob, tar and step file.
  var files: [String] {
    get throws {
      func names(_ directory: String) throws -> [String] {
        try Directory(directory).entries().map { "\(directory)/\(String(decoding: $0, as: UTF8.self))" }
      }
      return try names(store.paths.blobs) + names(store.paths.steps)
    }
  }

  var temporaries: [String] {
    get throws { try Directory(path + "/store/tmp").entries().map { String(decoding: $0, as: UTF8.self) } }
  }
}

/// The description of the error that `body` throws, "" if none.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}
