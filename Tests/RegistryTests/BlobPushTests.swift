import Core
import HTTP
import Testing

@testable import Registry

private typealias Reply = ScriptedTransport.Reply

private let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
private let blob = Descriptor(mediaType: MediaType.ociLayer, digest: .sha256(bytes), size: 300_000)
private let escaped = HTTPURL.escape(blob.digest.text)

private let source: BlobSource = { offset in
  var done = Int(offset)
  return { buffer in
    let n = min(buffer.count, bytes.count - done)
    buffer.copyBytes(from: bytes[done..<(done + n)])
    done += n
    return n
  }
}

@Suite struct BlobPushTests {
  private let log = ClientLog()
  private let image: ImageReference
  init() throws { image = try ImageReference("r.example/a/b:1") }

  private func push(_ transport: ScriptedTransport, from sources: [String] = []) throws -> BlobPushOutcome {
    try log.client(transport).push(blob, to: image, mountFrom: sources, open: source)
  }

  @Test func whatIsThereIsNotSent() throws {
    let transport = ScriptedTransport { _, _ in Reply(200, [("Content-Length", "300000")]) }
    #expect(try push(transport) == .existed)
    #expect(transport.lines == ["HEAD https://r.example/v2/a/b/blobs/\(blob.digest)"])
  }

  @Test func aBlobIsSentInOneRequest() throws {
    let transport = ScriptedTransport { seen, number in
      switch number {
      case 0: Reply(404)
      case 1: Reply(202, [("Location", "/up/1?state=x")])
      default: Reply(seen.content == bytes ? 201 : 500)
      }
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.lines.last == "PUT https://r.example/up/1?state=x&digest=\(escaped)")
  }

  @Test func aBlobIsMountedOrSentByTheSameUpload() throws {
    let mounted = ScriptedTransport { seen, number in number == 0 ? Reply(404) : Reply(201) }
    #expect(try push(mounted, from: ["a/b", "c/d"]) == .mounted(from: "c/d"))
    #expect(mounted.lines.last == "POST https://r.example/v2/a/b/blobs/uploads/?mount=\(escaped)&from=c%2Fd")
    let refused = ScriptedTransport { seen, number in
      switch number {
      case 0: Reply(404)
      case 1: Reply(403)
      case 2: Reply(202, [("Location", "up")])
      default: Reply(201)
      }
    }
    #expect(try push(refused, from: ["x", "y"]) == .uploaded)
    #expect(refused.seen.count == 4)
  }

  @Test func aCutUploadGoesOnWhereItWas() throws {
    let transport = ScriptedTransport { seen, number in
      switch number {
      case 0: return Reply(404)
      case 1: return Reply(202, [("Location", "/up/1")])
      case 2: throw HTTPError(.interrupted, "cut")
      case 3: return Reply(404)
      case 4: return Reply(204, [("Range", "0-99999"), ("Location", "/up/2")])
      case 5:
        let isRest = seen.content == Array(bytes[100_000...])
        return Reply(isRest ? 202 : 500, [("Location", "/up/3"), ("Range", "0-299999")])
      default: return Reply(seen.content.isEmpty ? 201 : 500)
      }
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.seen[5].request.fields["Content-Range"] == "100000-299999")
    #expect(
      transport.lines.suffix(3) == [
        "GET https://r.example/up/1", "PATCH https://r.example/up/2", "PUT https://r.example/up/3?digest=\(escaped)",
      ])
  }

  @Test func anAnswerThatIsLostIsFoundOut() throws {
    let transport = ScriptedTransport { _, number in
      switch number {
      case 0: return Reply(404)
      case 1: return Reply(202, [("Location", "/up/1")])
      case 2: throw HTTPError(.interrupted, "cut")
      default: return Reply(200, [("Content-Length", "300000")])
      }
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.seen.count == 4)
  }

  @Test func aRequestThatCameTwiceIsFoundOut() throws {
    let there = Reply(200, [("Content-Length", "300000")])
    let transport = ScriptedTransport { _, number in
      [Reply(404), Reply(202, [("Location", "/up/1")]), Reply(404), there][min(number, 3)]
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.seen.count == 4)
    let pieces = ScriptedTransport { _, number in
      [Reply(202, [("Location", "/up/1")]), Reply(404), Reply(200, [("Content-Length", "2")])][min(number, 2)]
    }
    let upload = try log.client(pieces).beginUpload(to: image)
    try ([1, 2] as [UInt8]).withUnsafeBytes { try upload.append($0) }
    try upload.finish(.sha256([1, 2]))
    #expect(pieces.seen.count == 3)
  }

  @Test func aForgottenUploadBeginsAnew() throws {
    let transport = ScriptedTransport { seen, number in
      switch number {
      case 0, 3, 4: return Reply(404)
      case 1, 5: return Reply(202, [("Location", "/up/\(number)")])
      case 2: return Reply(502)
      default: return Reply(seen.content == bytes ? 201 : 500)
      }
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.lines.last == "PUT https://r.example/up/5?digest=\(escaped)")
  }

  @Test func tooLargeIsSaidAtOnce() throws {
    let transport = ScriptedTransport { _, number in
      [Reply(404), Reply(202, [("Location", "/up/1")]), Reply(413)][min(number, 2)]
    }
    #expect(throws: Failure.self) { try push(transport) }
    #expect(transport.seen.count == 3)
  }

  @Test func httpIsNotBelieved() throws {
    let transport = ScriptedTransport { _, number in
      [Reply(404), Reply(202, [("Location", "http://r.example/up/1")]), Reply(201)][min(number, 2)]
    }
    #expect(try push(transport) == .uploaded)
    #expect(transport.lines.last?.hasPrefix("PUT https://r.example/up/1") == true)
    let other = ScriptedTransport { _, number in
      [Reply(404), Reply(202, [("Location", "http://other/up/1")]), Reply(201)][min(number, 2)]
    }
    #expect(throws: Failure.self) { try push(other) }
    #expect(other.seen.count == 2)
  }

  @Test func piecesAreSentUntilTheRegistryHasThem() throws {
    let all = [[UInt8]](repeating: Array(0..<250), count: 40_000).flatMap { $0 }
    let digest = Digest.sha256(all)
    let transport = ScriptedTransport { seen, number in
      switch number {
      case 0: return Reply(202, [("Location", "/up/0"), ("OCI-Chunk-Min-Length", "5000000")])
      case 1: return Reply(202, [("Location", "/up/1"), ("Range", "0-4999999")])
      // Half of the second piece arrives.
      case 2: throw HTTPError(.interrupted, "cut")
      case 3: return Reply(204, [("Location", "/up/3"), ("Range", "0-6999999")])
      case 4: return Reply(202, [("Location", "/up/4"), ("Range", "0-9999999")])
      default: return Reply(201)
      }
    }
    let upload = try log.client(transport).beginUpload(to: image)
    for start in stride(from: 0, to: all.count, by: 999_983) {
      try all[start..<min(all.count, start + 999_983)].withUnsafeBytes { try upload.append($0) }
    }
    try upload.finish(digest)
    let seen = transport.seen
    #expect(upload.size == 10_000_000)
    #expect(seen[1].content + seen[2].content.prefix(2_000_000) + seen[4].content + seen[5].content == all)
    #expect(
      seen.map { $0.request.fields["Content-Range"] } == [
        nil, "0-4999999", "5000000-9999999", nil, "7000000-9999999", nil,
      ])
    let small = ScriptedTransport { _, number in number == 0 ? Reply(202, [("Location", "/up/0")]) : Reply(201) }
    let one = try log.client(small).beginUpload(to: image)
    try ([1, 2] as [UInt8]).withUnsafeBytes { try one.append($0) }
    try one.finish(.sha256([1, 2]))
    #expect(small.seen.count == 2)
  }
}

@Suite struct ManifestPushTests {
  private let log = ClientLog()
  private let image: ImageReference
  init() throws { image = try ImageReference("r.example/a/b:1") }
  private let manifest = Array(#"{"schemaVersion":2}"#.utf8)

  @Test func oneTagIsOneRequest() throws {
    let transport = ScriptedTransport { _, _ in Reply(201) }
    let found = try log.client(transport).putManifest(manifest, mediaType: MediaType.ociManifest, to: image)
    #expect(found.digest == .sha256(manifest))
    #expect(transport.lines == ["PUT https://r.example/v2/a/b/manifests/1"])
    #expect(transport.seen[0].content == manifest)
  }

  @Test func severalTagsAreOneRequestWhereTheRegistryCan() throws {
    func lines(_ fields: [(name: String, value: String)]) throws -> [String] {
      let transport = ScriptedTransport { _, _ in Reply(201, fields) }
      try log.client(transport).putManifest(
        manifest, mediaType: MediaType.ociManifest, to: image, tags: ["x", "y", "z"])
      return transport.lines.map { String($0.split(separator: "/").last ?? "") }
    }
    let first = "\(Digest.sha256(manifest))?tag=x&tag=y&tag=z"
    #expect(try lines([("OCI-Tag", "x"), ("OCI-Tag", "y, z")]) == [first])
    #expect(try lines([("OCI-Tag", "y")]) == [first, "x", "z"])
    #expect(try lines([]) == [first, "x", "y", "z"])
  }

  @Test func anotherDigestIsNoSuccess() throws {
    let transport = ScriptedTransport { _, _ in Reply(201, [("Docker-Content-Digest", Digest.sha256("x").text)]) }
    #expect(throws: Failure.self) {
      try log.client(transport).putManifest(manifest, mediaType: MediaType.ociManifest, to: image)
    }
  }

  @Test func referrersAreEnteredWhereTheRegistryDoesNot() throws {
    let subject = Digest.sha256("subject")
    let bytes = JSON.members([
      "schemaVersion": 2, "artifactType": "a/b", "annotations": .object(["k": "v"]),
      "subject": Descriptor(mediaType: MediaType.ociManifest, digest: subject, size: 1).json,
    ]).bytes
    let knowing = ScriptedTransport { _, _ in Reply(201, [("OCI-Subject", subject.text)]) }
    try log.client(knowing).putManifest(bytes, mediaType: MediaType.ociManifest, to: image)
    #expect(knowing.seen.count == 1)
    let transport = ScriptedTransport { seen, _ in Reply(seen.line.hasPrefix("GET") ? 404 : 201) }
    try log.client(transport).putManifest(bytes, mediaType: MediaType.ociManifest, to: image)
    let tag = "sha256-\(subject.encoded)"
    #expect(transport.lines.suffix(2).map { $0.hasSuffix("/manifests/\(tag)") } == [true, true])
    let index = transport.seen[2].content
    #expect(Digest.sha256(bytes).text == (try JSON.parse(index))["manifests"]?.array?.first?["digest"]?.string)
    let listing = ScriptedTransport { seen, _ in
      seen.line.contains("/referrers/") ? Reply(404) : Reply(200, [("Content-Type", MediaType.ociIndex)], index)
    }
    let found = try log.client(listing).referrers(of: subject, in: image, artifactType: "a/b")
    #expect(found.map(\.descriptor.digest) == [.sha256(bytes)])
    #expect(try log.client(listing).referrers(of: subject, in: image, artifactType: "c").isEmpty)
    let none = ScriptedTransport { _, _ in Reply(404) }
    #expect(try log.client(none).referrers(of: subject, in: image).isEmpty)
  }

  @Test func tagsComeInPages() throws {
    let transport = ScriptedTransport { _, number in
      switch number {
      case 0:
        Reply(
          200, [("Link", #"</v2/a/b/tags/list?n=2&last=y>; rel="next""#)], text: #"{"name":"a/b","tags":["x","y"]}"#)
      case 1: Reply(200, [("Link", "<https://evil/>; rel=next")], text: #"{"name":"a/b","tags":["z","\u001b"]}"#)
      default: Reply(500)
      }
    }
    #expect(try log.client(transport).tags(of: image) == ["x", "y", "z"])
    let endless = ScriptedTransport { _, _ in
      Reply(200, [("Link", "<?n=1000>; rel=next")], text: #"{"name":"a/b","tags":null}"#)
    }
    #expect(try log.client(endless).tags(of: image).isEmpty)
    #expect(endless.seen.count == 1)
  }

  @Test func aLoginIsTried() throws {
    let endpoint = Endpoint(host: "r.example", repository: "")
    let transport = ScriptedTransport { seen, _ in
      seen.authorization == "Basic dTpw" ? Reply(200) : Reply(401, [("WWW-Authenticate", "Basic")])
    }
    try log.client(transport, credential: .password(user: "u", password: "p")).ping(endpoint)
    #expect(throws: Failure.self) {
      try log.client(transport, credential: .password(user: "u", password: "q")).ping(endpoint)
    }
    #expect(throws: Failure.self) { try log.client(ScriptedTransport { _, _ in Reply(404) }).ping(endpoint) }
  }
}
