import Builder
import Core
import Foundation
import HTTP
import Registry
import Testing

/// The registry of the integration tests, a process of its own on 127.0.0.1.
private final class TestRegistry {
  let host: String
  private let process = Process()
  private let input = Pipe()

  init(hasReferrers: Bool) throws {
    let folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "integration")
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "python3", "-c",
      """
      import sys
      sys.path.insert(0, sys.argv[1])
      from registry_oci import OCIRegistry
      with OCIRegistry(referrers=sys.argv[2] == "true") as registry:
          print(registry.host, flush=True)
          sys.stdin.read()
      """, folder.path, String(hasReferrers),
    ]
    process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONDONTWRITEBYTECODE": "1"]) { $1 }
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    host = line.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  deinit {
    // It ends with its input.
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  var client: RegistryClient {
    RegistryClient(
      transport: CurlTransport(environment: { _ in nil }),
      endpoints: { [host] reference, _ in
        [Endpoint(host: host, repository: reference.repository, mayFallBackToHTTP: true)]
      }, credential: { _, _ in nil }, userAgent: "stave/test", notice: { _ in })
  }
}

@Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")), arguments: [true, false])
func artifactsGoToAServerAndAreFoundThere(hasReferrers: Bool) throws {
  let registry = try TestRegistry(hasReferrers: hasReferrers)
  let client = registry.client
  let reference = try ImageReference("\(registry.host)/app:1")
  let subject = Artifact(artifactType: "text/x-subject")
  try subject.push(to: reference, tag: "1", client)
  let artifacts = ["text/x-one", "text/x-two"].map { type in
    Artifact(
      artifactType: type, layers: [.init(mediaType: type, bytes: Array(type.utf8))], annotations: ["of": type],
      subject: subject.descriptor)
  }
  for artifact in artifacts { try artifact.push(to: reference, client) }
  let found = try Artifact.referrers(of: subject.descriptor.digest, in: reference, client)
  #expect(Set(found) == Set(artifacts.map(\.descriptor)))
  #expect(
    try Artifact.referrers(of: subject.descriptor.digest, in: reference, type: "text/x-two", client)
      == [artifacts[1].descriptor])
  #expect(try Artifact(found[0], of: reference, client).subject == subject.descriptor)
  #expect(try Artifact.referrers(of: artifacts[0].descriptor.digest, in: reference, client).isEmpty)
}
