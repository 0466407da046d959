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
}
