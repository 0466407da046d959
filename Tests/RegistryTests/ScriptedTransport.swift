import Core
import HTTP
import Synchronization

@testable import Registry

/// Answers requests by a closure, without a network.
final class ScriptedTransport: HTTPTransport {
  struct Reply: Sendable {
    var status = 200
    var fields: [(name: String, value: String)] = []
    var content: [UInt8] = []
    /// How the transfer ends.
    var error: HTTPError?

    init(
      _ status: Int = 200, _ fields: [(name: String, value: String)] = [], _ content: [UInt8] = [],
      error: HTTPError? = nil
    ) {
      self.status = status
      self.fields = fields
      self.content = content
      self.error = error
    }

    init(_ status: Int = 200, _ fields: [(name: String, value: String)] = [], text: String) {
      self.init(status, fields, Array(text.utf8))
    }
  }

  /// `METHOD url`, and the fields.
  struct Seen: Sendable {
    var line: String
    var request: HTTPRequest
    var content: [UInt8]
    var authorization: String? { request.fields["Authorization"] }
  }

  private let reply: @Sendable (Seen, Int) throws -> Reply
  private let log = Mutex<[Seen]>([])

  /// `reply` gets a request and its number, from 0; what it throws is no answer.
  init(_ reply: @escaping @Sendable (Seen, Int) throws -> Reply) { self.reply = reply }

  var seen: [Seen] { log.withLock { $0 } }
  var lines: [String] { seen.map(\.line) }

  func send(
    _ request: HTTPRequest, head: (HTTPHead) throws -> Void, body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var content: [UInt8] = []
    switch request.body {
    case .none: break
    case .bytes(let bytes): content = bytes
    case .stream(_, let open):
      let read = try open()
      var buffer = [UInt8](repeating: 0, count: 1000)
      while true {
        let n = try buffer.withUnsafeMutableBytes { try read($0) }
        if n == 0 { break }
        content += buffer.prefix(n)
      }
    }
    let seen = Seen(line: "\(request.method) \(request.url)", request: request, content: content)
    let number = log.withLock {
      $0.append(seen)
      return $0.count - 1
    }
    let reply = try reply(seen, number)
    try head(HTTPHead(status: reply.status, fields: HTTPFields(reply.fields)))
    // In two pieces.
    if request.method != "HEAD", !reply.content.isEmpty {
      let middle = reply.content.count / 2
      for piece in [reply.content[..<middle], reply.content[middle...]] where !piece.isEmpty {
        try piece.withUnsafeBytes { try body($0) }
      }
    }
    if let error = reply.error { throw error }
  }
}

/// What a client of a test told and waited for.
final class ClientLog: Sendable {
  let waits = Mutex<[Duration]>([])
  let notices = Mutex<[String]>([])

  /// A clock that goes on only by waiting.
  var timing: Timing {
    Timing(
      now: { [self] in
        let waited = waits.withLock { $0.reduce(Duration.zero, +) }
        return Timestamp(seconds: 1_700_000_000 + waited.components.seconds)
      }, sleep: { [self] duration in waits.withLock { $0.append(duration) } }, random: { 0.5 })
  }

  var times: Int { waits.withLock { $0.count } }

  func client(
    _ transport: any HTTPTransport, hosts: [String] = ["r.example"], mayFallBack: Bool = false,
    credential: Credential? = nil
  ) -> RegistryClient {
    RegistryClient(
      transport: transport,
      endpoints: { reference, _ in
        hosts.map { Endpoint(host: $0, repository: reference.repository, mayFallBackToHTTP: mayFallBack) }
      },
      credential: { _, _ in credential.map { ($0, "the test") } }, userAgent: "stave/test",
      notice: { [self] text in notices.withLock { $0.append(text) } }, timing: timing)
  }
}
