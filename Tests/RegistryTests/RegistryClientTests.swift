import Core
import HTTP
import Synchronization
import Testing

@testable import Registry

private typealias Reply = ScriptedTransport.Reply

private let text = #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#
private let manifestFields: [(name: String, value: String)] = [
  ("Content-Type", MediaType.ociManifest), ("Docker-Content-Digest", Digest.sha256(text).text),
]

private func blob(_ count: Int) -> (Descriptor, [UInt8]) {
  let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
  return (Descriptor(mediaType: MediaType.ociLayer, digest: .sha256(bytes), size: Int64(count)), bytes)
}

private func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch { return error as? Failure }
}

@Suite struct RegistryClientTests {
  private let log = ClientLog()
  private let image: ImageReference
  init() throws { image = try ImageReference("r.example/a/b:1") }

  @Test func aTagIsResolvedByHead() throws {
    let transport = ScriptedTransport { _, _ in Reply(200, manifestFields + [("Content-Length", "76")]) }
    let found = try log.client(transport).resolve(image)
    #expect(found == Descriptor(mediaType: MediaType.ociManifest, digest: .sha256(text), size: 76))
    #expect(transport.lines == ["HEAD https://r.example/v2/a/b/manifests/1"])
    #expect(transport.seen[0].request.fields["Accept"]?.contains(MediaType.dockerList) == true)
  }

  @Test func whereHeadIsRefusedGetAnswers() throws {
    let transport = ScriptedTransport { seen, _ in
      seen.line.hasPrefix("HEAD") ? Reply(405) : Reply(200, [("Content-Type", MediaType.ociManifest)], text: text)
    }
    #expect(try log.client(transport).resolve(image).digest == .sha256(text))
  }

  @Test func whatIsNotThereIsSaid() throws {
    let transport = ScriptedTransport { _, _ in Reply(404) }
    #expect(try log.client(transport).find(image) == nil)
    #expect(failure { _ = try log.client(transport).resolve(image) }?.reason == "not found on r.example")
    #expect(log.times == 0)
  }

  @Test func manifestsAreVerified() throws {
    let good = ScriptedTransport { _, _ in Reply(200, manifestFields, text: text) }
    #expect(try log.client(good).manifest(image).bytes == Array(text.utf8))
    let wrong = ScriptedTransport { _, _ in Reply(200, manifestFields, text: text + " ") }
    #expect(failure { _ = try log.client(wrong).manifest(image) }?.reason.contains("does not match") == true)
    #expect(wrong.seen.count == 6)
    let mixed = ScriptedTransport { _, _ in Reply(200, [("Content-Type", MediaType.dockerManifest)], text: text) }
    #expect(failure { _ = try log.client(mixed).manifest(image) }?.reason.contains("calls itself") == true)
    let large = ScriptedTransport { _, _ in Reply(200, [], [UInt8](repeating: 32, count: 4 << 20 | 1)) }
    #expect(failure { _ = try log.client(large).manifest(image) }?.reason.contains("more than 4 MiB") == true)
    let old = ScriptedTransport { _, _ in Reply(200, [], text: #"{"schemaVersion":1}"#) }
    #expect(failure { _ = try log.client(old).manifest(image) }?.reason.contains("schema 1") == true)
  }

  @Test func passingTroubleIsTriedAgain() throws {
    let transport = ScriptedTransport { _, number in
      switch number {
      case 0: Reply(503)
      case 1: Reply(429, [("Retry-After", "7")])
      case 2: Reply(429, [("Retry-After", "Tue, 14 Nov 2023 22:13:40 GMT")])
      case 3: throw HTTPError(.interrupted, "cut")
      default: Reply(200, manifestFields, text: text)
      }
    }
    _ = try log.client(transport).manifest(image)
    let waits = log.waits.withLock { $0 }
    #expect(waits == [.milliseconds(375), .milliseconds(7250), .milliseconds(13250), .milliseconds(3000)])
    #expect(log.notices.withLock { $0.count } == 1)
    let never = ScriptedTransport { _, _ in
      Reply(500, [], text: #"{"errors":[{"code":"UNKNOWN","message":"a\u001bb"}]}"#)
    }
    #expect(failure { _ = try log.client(never).manifest(image) }?.reason == "r.example answered 500: a b (UNKNOWN)")
    #expect(never.seen.count == 6)
    let long = ScriptedTransport { _, _ in Reply(429, [("Retry-After", "86400")]) }
    #expect(failure { _ = try log.client(long).manifest(image) } != nil)
    #expect(long.seen.count == 1)
  }

  @Test func aNameThatIsNotFoundIsNotTriedAgain() throws {
    for reason in [HTTPError.Reason.unknownHost, .unreachable, .certificate, .tls] {
      let transport = ScriptedTransport { _, _ in throw HTTPError(reason, "no") }
      #expect(failure { _ = try log.client(transport).manifest(image) }?.reason == "r.example: no")
      #expect(transport.seen.count == 1)
    }
  }

  @Test func httpTakesThePlaceOfHttps() throws {
    let transport = ScriptedTransport { seen, _ in
      if seen.line.contains("https") { throw HTTPError(.tls, "no TLS") }
      return Reply(200, manifestFields, text: text)
    }
    let client = log.client(transport, hosts: ["localhost:5000"], mayFallBack: true)
    _ = try client.manifest(image)
    _ = try client.manifest(image)
    #expect(
      transport.lines == [
        "GET https://localhost:5000/v2/a/b/manifests/1", "GET http://localhost:5000/v2/a/b/manifests/1",
        "GET http://localhost:5000/v2/a/b/manifests/1",
      ])
    #expect(failure { _ = try log.client(transport).manifest(image) }?.reason == "r.example: no TLS")
    let refused = ScriptedTransport { _, _ in throw HTTPError(.certificate, "expired") }
    _ = failure { _ = try log.client(refused, mayFallBack: true).manifest(image) }
    #expect(refused.seen.count == 1)
  }

  @Test func troubleAtTheFirstContactByHttpIsTriedAgain() throws {
    let transport = ScriptedTransport { seen, number in
      if seen.line.contains("https") { throw HTTPError(.tls, "no TLS") }
      if number < 2 { throw HTTPError(.interrupted, "cut") }
      return Reply(200, manifestFields, text: text)
    }
    _ = try log.client(transport, hosts: ["localhost:5000"], mayFallBack: true).manifest(image)
    #expect(log.times == 1)
  }

  @Test func mirrorsComeFirstAndTheRegistryLast() throws {
    let transport = ScriptedTransport { seen, _ in
      if seen.line.contains("m1") { throw HTTPError(.unreachable, "down") }
      if seen.line.contains("m2") { return Reply(404) }
      return Reply(200, manifestFields, text: text)
    }
    let client = log.client(transport, hosts: ["m1", "m2", "r"])
    _ = try client.manifest(image)
    _ = try client.manifest(image)
    #expect(transport.lines.map { $0.split(separator: "/")[1] } == ["m1", "m2", "r", "m2", "r"])
    let none = ScriptedTransport { seen, _ in
      if seen.line.contains("m1") { throw HTTPError(.unreachable, "down") }
      return Reply(404)
    }
    #expect(
      failure { _ = try log.client(none, hosts: ["m1", "r"]).manifest(image) }?.reason
        == "not found on r; mirror m1: down")
    #expect(try log.client(none, hosts: ["m1", "r"]).find(image) == nil)
  }

  @Test func warningsAreToldOnce() throws {
    let transport = ScriptedTransport { _, _ in
      Reply(
        200,
        manifestFields + [
          ("Warning", #"299 - "it ends \"soon\"""#), ("ratelimit-remaining", "5;w=21600"),
          ("ratelimit-limit", "100;w=21600"),
        ],
        text: text)
    }
    let client = log.client(transport)
    _ = try client.manifest(image)
    _ = try client.manifest(image)
    #expect(
      log.notices.withLock { $0 } == [
        #"r.example says: it ends "soon""#, "r.example allows 5 of 100 more pulls for now",
      ])
  }

  @Test func refusalsSayWhatToDo() throws {
    let denied = ScriptedTransport { _, _ in
      Reply(403, [], text: #"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#)
    }
    let refusal = failure { _ = try log.client(denied).manifest(image) }
    #expect(refusal?.reason == "r.example does not allow it without a login: requested access is denied (DENIED)")
    #expect(refusal?.hint?.contains("stave login r.example") == true)
    let known = failure {
      _ = try log.client(denied, credential: .password(user: "u", password: "secret")).manifest(image)
    }
    #expect(known?.reason.contains("with the credentials of the test") == true)
    let html = ScriptedTransport { _, _ in Reply(413, [], text: "<html>") }
    #expect(failure { _ = try log.client(html).manifest(image) }?.hint?.contains("client_max_body_size") == true)
  }
}

@Suite struct BlobDownloadTests {
  private let log = ClientLog()
  private let image: ImageReference
  init() throws { image = try ImageReference("r.example/a/b:1") }

  /// Serves `bytes` in pieces that are cut after `step` bytes, each with what was asked for.
  private func cutting(_ bytes: [UInt8], step: Int, ranges: Bool) -> ScriptedTransport {
    ScriptedTransport { seen, number in
      let first = seen.request.fields["Range"].flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
      let start = ranges ? first : 0
      let end = min(bytes.count, ranges ? start + step : step * (number + 1))
      return Reply(
        ranges && first > 0 ? 206 : 200,
        ranges && first > 0 ? [("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")] : [],
        Array(bytes[start..<end]), error: end < bytes.count ? HTTPError(.interrupted, "cut") : nil)
    }
  }

  @Test(arguments: [true, false])
  func aCutTransferGoesOn(ranges: Bool) throws {
    let (descriptor, bytes) = blob(300_000)
    let transport = cutting(bytes, step: 70_000, ranges: ranges)
    var out: [UInt8] = []
    try log.client(transport).blob(descriptor, of: image) { out += $0 }
    #expect(out == bytes)
    #expect(transport.seen.count == 5)
    #expect(transport.seen[1].request.fields["Range"] == "bytes=70000-")
  }

  @Test func itBeginsInTheMiddle() throws {
    let (descriptor, bytes) = blob(1000)
    var out: [UInt8] = []
    try log.client(cutting(bytes, step: 1000, ranges: true)).blob(descriptor, of: image, from: 900) { out += $0 }
    #expect(out == Array(bytes[900...]))
    out = []
    try log.client(cutting(bytes, step: 1000, ranges: false)).blob(descriptor, of: image, from: 900) { out += $0 }
    #expect(out == Array(bytes[900...]))
    try log.client(ScriptedTransport { _, _ in Reply(500) }).blob(descriptor, of: image, from: 1000) { _ in }
  }

  @Test func wrongSizesAreRefused() throws {
    let (descriptor, bytes) = blob(1000)
    let more = ScriptedTransport { _, _ in Reply(200, [], bytes + [0]) }
    var count = 0
    #expect(failure { try log.client(more).blob(descriptor, of: image) { count += $0.count } } != nil)
    #expect(count <= 1000)
    let told = ScriptedTransport { _, _ in Reply(200, [("Content-Length", "999")], bytes) }
    #expect(
      failure { try log.client(told).blob(descriptor, of: image) { _ in } }?.reason
        == "the blob has 999 bytes, not 1000")
    let less = ScriptedTransport { _, _ in Reply(200, [], Array(bytes.prefix(10))) }
    #expect(failure { try log.client(less).blob(descriptor, of: image) { _ in } } != nil)
  }

  @Test func theCallersErrorIsThrownAsItIs() throws {
    struct Stop: Error {}
    let (descriptor, bytes) = blob(1000)
    let transport = ScriptedTransport { _, _ in Reply(200, [], bytes) }
    #expect(throws: Stop.self) { try log.client(transport).blob(descriptor, of: image) { _ in throw Stop() } }
    #expect(transport.seen.count == 1)
  }

  @Test func redirectsNeverGetTheLogin() throws {
    let (descriptor, bytes) = blob(1000)
    let transport = ScriptedTransport { seen, _ in
      if seen.line.contains("cdn") { return Reply(200, [], bytes) }
      if seen.authorization == nil { return Reply(401, [("WWW-Authenticate", #"Basic realm="x""#)]) }
      return Reply(307, [("Location", "https://cdn.example/x?signed")])
    }
    let client = log.client(transport, credential: .password(user: "u", password: "p"))
    try client.blob(descriptor, of: image) { _ in }
    #expect(transport.seen.map { $0.authorization != nil } == [false, true, false])
    for place in ["http://r.example/x", "https://r.example:444/x", "ftp://x/"] {
      let other = ScriptedTransport { seen, _ in
        if seen.line.contains(":444") { return Reply(seen.authorization == nil ? 200 : 500, [], bytes) }
        if seen.authorization == nil { return Reply(401, [("WWW-Authenticate", "Basic")]) }
        return Reply(307, [("Location", place)])
      }
      let result = failure {
        try log.client(other, credential: .password(user: "u", password: "p")).blob(descriptor, of: image) { _ in }
      }
      #expect((result == nil) == place.contains(":444"))
      #expect(!other.lines.contains { $0.contains("http://") })
    }
    let loop = ScriptedTransport { _, _ in Reply(302, [("Location", "x")]) }
    #expect(
      failure { try log.client(loop).blob(descriptor, of: image) { _ in } }?.reason.contains("without end") == true)
  }

  @Test func aMirrorThatFailsHandsOver() throws {
    let (descriptor, bytes) = blob(200_000)
    let transport = ScriptedTransport { seen, _ in
      if seen.line.contains("//m/") {
        return Reply(200, [], Array(bytes.prefix(100)), error: HTTPError(.interrupted, "cut"))
      }
      return Reply(206, [("Content-Range", "bytes 100-199999/200000")], Array(bytes[100...]))
    }
    var out: [UInt8] = []
    try log.client(transport, hosts: ["m", "r"]).blob(descriptor, of: image) { out += $0 }
    #expect(out == bytes)
  }
}
