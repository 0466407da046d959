import Core
import HTTP
import Testing

@testable import Registry

private typealias Reply = ScriptedTransport.Reply

private let challenge: [(name: String, value: String)] = [
  ("WWW-Authenticate", #"Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull""#)
]
private let manifest = #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#

@Suite struct TokenSourceTests {
  private let log = ClientLog()
  private let image: ImageReference
  init() throws { image = try ImageReference("r.example/a/b:1") }

  /// A registry that wants the newest token of its server.
  private func registry(_ token: @escaping @Sendable (ScriptedTransport.Seen, Int) -> Reply) -> ScriptedTransport {
    ScriptedTransport { seen, number in
      if seen.line.contains("auth.example") { return token(seen, number) }
      guard let value = seen.authorization, value.hasPrefix("Bearer t"), value != "Bearer told" else {
        return Reply(401, challenge)
      }
      return Reply(200, [("Content-Type", MediaType.ociManifest)], text: manifest)
    }
  }

  @Test func aTokenIsFetchedOnceAndKeptUntilItExpires() throws {
    let transport = registry { _, _ in Reply(200, [], text: #"{"token":"t1","expires_in":300}"#) }
    let client = log.client(transport)
    for _ in 0..<3 { _ = try client.manifest(image) }
    #expect(
      transport.lines.prefix(3) == [
        "GET https://r.example/v2/a/b/manifests/1",
        "GET https://auth.example/token?service=reg&scope=repository%3Aa%2Fb%3Apull",
        "GET https://r.example/v2/a/b/manifests/1",
      ])
    #expect(transport.seen.count == 5)
    #expect(transport.seen[1].authorization == nil)
    try log.timing.sleep(.seconds(400))
    _ = try client.manifest(image)
    #expect(transport.lines.filter { $0.contains("auth") }.count == 2)
  }

  @Test func aRefusedTokenIsRenewed() throws {
    let transport = registry { _, number in
      Reply(200, [], text: number == 1 ? #"{"access_token":"told"}"# : #"{"access_token":"t2"}"#)
    }
    _ = try log.client(transport).manifest(image)
    #expect(transport.seen.map(\.authorization) == [nil, nil, "Bearer told", nil, "Bearer t2"])
    let never = registry { _, _ in Reply(200, [], text: #"{"token":"told"}"#) }
    #expect(throws: Failure.self) { try log.client(never).manifest(image) }
    #expect(never.seen.count == 5)
  }

  @Test func passwordsGoToTheTokenServerAlone() throws {
    let transport = registry { _, _ in Reply(200, [], text: #"{"token":"t"}"#) }
    _ = try log.client(transport, credential: .password(user: "u", password: "p:ä")).manifest(image)
    #expect(transport.seen.map(\.authorization) == [nil, "Basic dTpwOsOk", "Bearer t"])
    let plain = ScriptedTransport { _, _ in
      Reply(401, [("WWW-Authenticate", #"Bearer realm="http://auth.example/token""#)])
    }
    #expect(throws: Failure.self) {
      try log.client(plain, credential: .password(user: "u", password: "p")).manifest(image)
    }
    #expect(plain.seen.count == 1)
  }

  @Test func identityTokensArePosted() throws {
    let transport = registry { seen, _ in
      seen.line.hasPrefix("POST") ? Reply(200, [], text: #"{"access_token":"t"}"#) : Reply(500)
    }
    _ = try log.client(transport, credential: .identityToken("id&")).manifest(image)
    #expect(
      String(decoding: transport.seen[1].content, as: UTF8.self)
        == "grant_type=refresh_token&client_id=stave&refresh_token=id%26&service=reg&scope=repository%3Aa%2Fb%3Apull")
    let old = registry { seen, _ in
      seen.line.hasPrefix("POST") ? Reply(404) : Reply(200, [], text: #"{"access_token":"t"}"#)
    }
    _ = try log.client(old, credential: .identityToken("id")).manifest(image)
    #expect(old.seen[2].authorization == "Basic " + Base64.encode("<token>:id".utf8))
    let given = registry { _, _ in Reply(500) }
    _ = try log.client(given, credential: .registryToken("tx")).manifest(image)
    #expect(given.seen.map(\.authorization) == [nil, "Bearer tx"])
  }

  @Test func refusalsNameTheSource() throws {
    let transport = registry { _, _ in Reply(401, [], text: #"{"details":"incorrect username or password"}"#) }
    do {
      _ = try log.client(transport, credential: .password(user: "u", password: "secret")).manifest(image)
      Issue.record("it succeeded")
    } catch let error as Failure {
      #expect(error.reason.contains("refused the credentials of the test"))
      #expect(error.reason.contains("auth.example says incorrect username or password"))
      #expect(error.hint?.contains("stave login r.example") == true)
      #expect(!"\(error) \(error.hint ?? "")".contains("secret"))
    }
    do {
      _ = try log.client(transport).manifest(image)
      Issue.record("it succeeded")
    } catch let error as Failure {
      #expect(error.reason.contains("wants a login"))
    }
  }

  @Test func aTokenServerThatIsBusyIsAskedAgain() throws {
    let transport = registry { _, number in number < 3 ? Reply(503) : Reply(200, [], text: #"{"token":"t"}"#) }
    _ = try log.client(transport).manifest(image)
    #expect(log.times == 2)
  }
}

@Suite struct AuthenticateChallengeTests {
  @Test(arguments: [
    (
      #"Bearer realm="https://a/t",service="x,y",scope="repository:a:pull,push""#,
      "bearer realm=https://a/t scope=repository:a:pull,push service=x,y"
    ),
    (#"Basic realm="a \"b\"", Bearer realm=z"#, #"basic realm=a "b"|bearer realm=z"#),
    ("Negotiate, Basic realm=x", "negotiate|basic realm=x"),
    ("Negotiate YWJj==, Basic realm=x", "negotiate|basic realm=x"),
    ("NTLM abc , Digest a = b", "ntlm|digest a=b"),
    (" ,, basic", "basic"), ("", ""), ("=", ""), (#"Bearer realm=""#, "bearer"),
    ("Bearer realm=https://a/t?x=y,service=z", "bearer realm=https://a/t?x=y service=z"),
  ])
  func isRead(value: String, form: String) {
    let found = AuthenticateChallenge.parse([value]).map { challenge in
      ([challenge.scheme] + challenge.parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        .joined(separator: " ")
    }
    #expect(found.joined(separator: "|") == form)
  }

  @Test func severalFieldsAreOneList() {
    #expect(AuthenticateChallenge.parse(["Basic realm=a", "Bearer realm=b"]).map(\.scheme) == ["basic", "bearer"])
  }

  @Test func noiseNeverTraps() {
    var state: UInt64 = 42
    func next() -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 40)
    }
    let pieces = ["Bearer", " ", ",", "=", "\"", "\\", "realm", "\t", "é", "a", "==", "\u{0}", "Basic "]
    for _ in 0..<20_000 {
      let value = (0..<(next() % 20)).map { _ in pieces[next() % pieces.count] }.joined()
      _ = AuthenticateChallenge.parse([value])
      _ = ScopeSet(text: value)
      _ = Notices.warning("299 " + value)
      _ = ContentRange("bytes " + value)
      _ = RetryPlan.seconds(retryAfter: value, now: Timestamp(seconds: 0))
    }
  }

  @Test func base64IsThatOfTheStandard() {
    for (text, form) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
      #expect(Base64.encode(text.utf8) == form)
      #expect(Base64.decode(form) == Array(text.utf8))
    }
    for text in ["Z", "Zg=", "Zm9v=Zg==", "Z g=", "===="] where text != "Zg=" { #expect(Base64.decode(text) == nil) }
  }

  @Test func scopesCoverEachOther() {
    #expect(ScopeSet.push("a").covers(.pull("a")))
    #expect(!ScopeSet.pull("a").covers(.push("a")))
    #expect(!ScopeSet.push("a").covers(.pull("b")))
    #expect(
      ScopeSet(text: "repository:h:5000/a:pull,push x registry:catalog:*").texts == [
        "registry:catalog:*", "repository:h:5000/a:pull,push",
      ])
  }
}
