import Core
import HTTP
import Synchronization
import Testing

@testable import Registry

private func client(_ transport: ScriptedTransport) -> RegistryClient {
  RegistryClient(
    transport: transport,
    endpoints: { reference, _ in [Endpoint(host: reference.registry, repository: reference.repository)] },
    credential: { _, _ in nil }, userAgent: "stave/test", notice: { _ in })
}

@Test func dockerHubIsSearched() throws {
  let transport = ScriptedTransport { _, _ in
    .init(
      text: #"{"results":[{"name":"busybox","description":"Small","star_count":3000,"is_official":true},{"name":"x/y"}"#
        + #",{"star_count":1},{"name":"z"}]}"#)
  }
  let found = try client(transport).searchHub("busy box", limit: 3)
  #expect(found.map(\.name) == ["busybox", "x/y"])
  #expect(found[0] == SearchResult(name: "busybox", description: "Small", stars: 3000, isOfficial: true))
  #expect(transport.lines == ["GET https://index.docker.io/v1/search?q=busy%20box&n=3"])
}

@Test(arguments: ["", "[]", "{}", #"{"results":{}}"#])
func aSearchWithoutResultsIsRefused(text: String) {
  #expect(throws: Failure.self) {
    try client(ScriptedTransport { _, _ in .init(text: text) }).searchHub("x", limit: 1)
  }
}

@Test func anUnreachableHubIsTold() {
  let transport = ScriptedTransport { _, _ in throw HTTPError(.unknownHost, "no such host") }
  let failure = #expect(throws: Failure.self) { try client(transport).searchHub("x", limit: 1) }
  #expect(failure?.action == "search Docker Hub for x")
}

@Test func aCatalogIsReadByPages() throws {
  let transport = ScriptedTransport { _, number in
    number == 0
      ? .init(200, [("Link", "</v2/_catalog?last=b&n=1000>; rel=\"next\"")], text: #"{"repositories":["a","b"]}"#)
      : .init(text: #"{"repositories":["c"]}"#)
  }
  #expect(try client(transport).catalog(of: ImageReference("r.example/x")) == ["a", "b", "c"])
  #expect(transport.lines.last == "GET https://r.example/v2/_catalog?last=b&n=1000")
}
