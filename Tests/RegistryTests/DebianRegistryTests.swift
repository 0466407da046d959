import Core
import Foundation
import HTTP
import Testing

@testable import Registry

/// Debian's registry on 127.0.0.1 with an empty store; nil where it isn't installed.
private final class DebianRegistry {
  static let program = "/usr/bin/docker-registry"
  let host: String
  private let process = Process()
  private let place: URL

  init() throws {
    place = FileManager.default.temporaryDirectory.appending(path: "stave-registry-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    host = "127.0.0.1:\(Int.random(in: 20000..<32000))"
    try """
    version: 0.1
    log: {level: error}
    storage: {filesystem: {rootdirectory: \(place.path)/data}}
    http: {addr: "\(host)"}
    """.write(to: place.appending(path: "config.yml"), atomically: true, encoding: .utf8)
    process.executableURL = URL(filePath: DebianRegistry.program)
    process.arguments = ["serve", place.appending(path: "config.yml").path]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  deinit {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: place)
  }

  /// A client, once the registry answers.
  func client() throws -> RegistryClient {
    let transport = CurlTransport(environment: { _ in nil })
    for _ in 0..<200 {
      do {
        try transport.send(HTTPRequest("GET", "http://\(host)/v2/"), head: { _ in }, body: { _ in })
        break
      } catch { Thread.sleep(forTimeInterval: 0.05) }
    }
    return RegistryClient(
      transport: transport,
      endpoints: { [host] reference, _ in
        [Endpoint(host: host, repository: reference.repository, mayFallBackToHTTP: true)]
      }, credential: { _, _ in nil }, userAgent: "stave/test", notice: { _ in })
  }
}

@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: DebianRegistry.program)))
struct DebianRegistryTests {
  @Test func whatIsNotThereIsNotFound() throws {
    let registry = try DebianRegistry()
    let client = try registry.client()
    #expect(try client.find(ImageReference("\(registry.host)/a/b:1")) == nil)
    #expect(throws: Failure.self) { try client.manifest(ImageReference("\(registry.host)/a/b:1")) }
  }

  @Test func whatIsPushedIsPulled() throws {
    let registry = try DebianRegistry()
    let client = try registry.client()
    let image = try ImageReference("\(registry.host)/a/b:1")
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
    let blob = Descriptor(mediaType: MediaType.ociLayer, digest: .sha256(bytes), size: Int64(bytes.count))
    let source: BlobSource = { offset in
      var done = Int(offset)
      return { buffer in
        let n = min(buffer.count, bytes.count - done)
        buffer.copyBytes(from: bytes[done..<(done + n)])
        done += n
        return n
      }
    }
    #expect(try client.push(blob, to: image, open: source) == .uploaded)
    #expect(try client.push(blob, to: image, open: source) == .existed)
    let other = try ImageReference("\(registry.host)/c:1")
    #expect(try client.push(blob, to: other, mountFrom: ["nobody", "a/b"], open: source) == .mounted(from: "a/b"))
    // In pieces, of which the registry gets more than one.
    let large = (0..<4).flatMap { _ in bytes }
    let upload = try client.beginUpload(to: image)
    try large.withUnsafeBytes { try upload.append($0) }
    try upload.finish(.sha256(large))
    let layer = Descriptor(mediaType: MediaType.ociLayer, digest: .sha256(large), size: Int64(large.count))
    #expect(try client.blobExists(layer, of: image))
    let empty = Descriptor(mediaType: MediaType.ociConfig, digest: .sha256("{}"), size: 2)
    let two = try client.beginUpload(to: image)
    try Array("{}".utf8).withUnsafeBytes { try two.append($0) }
    try two.finish(empty.digest)
    let manifest = ImageManifest(config: empty, layers: [blob, layer]).json.bytes
    let put = try client.putManifest(manifest, mediaType: MediaType.ociManifest, to: image, tags: ["1", "2"])
    #expect(try client.resolve(image) == put)
    #expect(try client.manifest(image).bytes == manifest)
    #expect(try client.tags(of: image).sorted() == ["1", "2"])
    var out: [UInt8] = []
    try client.blob(blob, of: image, from: 1_000_000) { out += $0 }
    #expect(out == Array(bytes[1_000_000...]))
    #expect(try client.referrers(of: put.digest, in: image).isEmpty)
    try client.ping(Endpoint(host: registry.host, repository: "", mayFallBackToHTTP: true))
  }
}
