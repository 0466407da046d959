import HTTP
import Linux
import Synchronization
import Testing

private struct Stop: Error, Equatable {}

private struct Whole: Sendable {
  var status = 0
  var fields = HTTPFields()
  var content: [UInt8] = []
}

extension HTTPTransport {
  fileprivate func get(_ request: HTTPRequest) throws -> Whole {
    var out = Whole()
    try send(request) {
      out.status = $0.status
      out.fields = $0.fields
    } body: {
      out.content += $0
    }
    return out
  }
}

private let none: @Sendable (String) -> String? = { _ in nil }

@Suite struct CurlTransportTests {
  @Test func answersComeWhole() throws {
    let server = try TinyServer { request, connection in
      connection.write(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 5\r\n\r\nhello")
      return true
    }
    let transport = CurlTransport(environment: none)
    var request = HTTPRequest("GET", server.url + "/a?b=c", fields: HTTPFields([("X-Empty", ""), ("X-B", "b")]))
    for _ in 0..<3 {
      let answer = try transport.get(request)
      #expect(answer.status == 200)
      #expect(answer.fields.values("X-A") == ["1", "2"])
      #expect(answer.content == Array("hello".utf8))
    }
    let seen = server.requests.withLock { $0 }
    #expect(seen[0].line == "GET /a?b=c HTTP/1.1")
    #expect(seen[0].fields.contains("X-B: b") && seen[0].fields.contains("X-Empty:"))
    // One connection serves all.
    #expect(Set(seen.map(\.connection)) == [0])
    request.fields.add("X-C", "a\r\nEvil: yes")
    #expect(throws: HTTPError.self) { try transport.get(request) }
  }

  @Test func contentIsSent() throws {
    let server = try TinyServer { _, connection in
      connection.write("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
      return true
    }
    let transport = CurlTransport(environment: none)
    let bytes = (0..<1_200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    #expect(try transport.get(HTTPRequest("PUT", server.url, body: .bytes(bytes))).status == 201)
    let stream: HTTPBody = .stream(length: Int64(bytes.count)) {
      var done = 0
      return { buffer in
        let n = min(buffer.count, bytes.count - done)
        buffer.copyBytes(from: bytes[done..<(done + n)])
        done += n
        return n
      }
    }
    #expect(try transport.get(HTTPRequest("PATCH", server.url, body: stream)).status == 201)
    if case .stream(_, let open) = stream {
      #expect(try transport.get(HTTPRequest("PATCH", server.url, body: .stream(length: nil, open: open))).status == 201)
    }
    #expect(try transport.get(HTTPRequest("POST", server.url)).status == 201)
    let seen = server.requests.withLock { $0 }
    #expect(seen[0].body == bytes && seen[1].body == bytes && seen[2].body.count > bytes.count)
    #expect(seen[3].fields.contains("Content-Length: 0"))
    #expect(!seen.contains { $0.fields.contains { $0.hasPrefix("Expect") } })
    // A stream that is shorter than it says.
    #expect(throws: (any Error).self) {
      try transport.get(HTTPRequest("PUT", server.url, body: .stream(length: 10) { { _ in 0 } }))
    }
  }

  @Test func cutsAndSilenceAreErrors() throws {
    let server = try TinyServer { request, connection in
      if request.line.contains("/cut") { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell") }
      if request.line.contains("/stall") {
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell")
        pause(milliseconds: 5000)
      }
      if request.line.contains("/noise") { connection.write("hello\r\n\r\n") }
      return false
    }
    let transport = CurlTransport(patience: .init(stall: 1), environment: none)
    func reason(_ path: String) -> HTTPError.Reason? {
      do {
        _ = try transport.get(HTTPRequest("GET", server.url + path))
        return nil
      } catch { return (error as? HTTPError)?.reason }
    }
    #expect(reason("/cut") == .interrupted)
    #expect(reason("/none") == .interrupted)
    #expect(reason("/stall") == .timeout)
    #expect(reason("/noise") == .malformed)
    func error(_ url: String) -> HTTPError? {
      do {
        _ = try transport.get(HTTPRequest("GET", url))
        return nil
      } catch { return error as? HTTPError }
    }
    #expect(error("http://127.0.0.1:1/") == HTTPError(.unreachable, "connection refused"))
    #expect(error("http://nobody.invalid/")?.reason == .unknownHost)
    #expect(error("https://127.0.0.1:\(server.port)/")?.reason == .tls)
    #expect(error("ftp://127.0.0.1/")?.reason == .malformed)
  }

  @Test func callsThatThrowEndTheTransfer() throws {
    let server = try TinyServer { _, connection in
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
      return true
    }
    let transport = CurlTransport(environment: none)
    let request = HTTPRequest("GET", server.url)
    #expect(throws: Stop()) { try transport.send(request, head: { _ in throw Stop() }, body: { _ in }) }
    #expect(throws: Stop()) { try transport.send(request, head: { _ in }, body: { _ in throw Stop() }) }
    #expect(throws: Stop()) {
      try transport.get(HTTPRequest("PUT", server.url, body: .stream(length: 5) { { _ in throw Stop() } }))
    }
    #expect(try transport.get(request).status == 200)
  }

  @Test func aCancelledTaskEndsTheTransfer() async throws {
    let begun = AsyncStream<Void>.makeStream()
    let server = try TinyServer { _, connection in
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell")
      begun.continuation.yield()
      pause(milliseconds: 20_000)
      return false
    }
    let transport = CurlTransport(environment: none)
    let url = server.url
    let task = Task {
      try await BlockingPool.shared.run { try transport.get(HTTPRequest("GET", url)).status }
    }
    for await _ in begun.stream { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func anEarlyRefusalIsAnAnswer() throws {
    let server = try TinyServer { _, connection in
      connection.write("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
      return false
    }
    // The server of the test reads the whole request first; the wire is closed in any case.
    let answer = try CurlTransport(environment: none).get(
      HTTPRequest("PUT", server.url, body: .bytes([UInt8](repeating: 7, count: 1 << 20))))
    #expect(answer.status == 413 && answer.content == Array("large".utf8))
  }
}
