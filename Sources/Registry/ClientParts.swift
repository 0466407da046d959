internal import Core
internal import HTTP

/// What everything in a client shares.
struct ClientParts: Sendable {
  let transport: any HTTPTransport
  let credential:
    @Sendable (_ registry: String, _ repository: String) throws -> (credential: Credential, source: String)?
  let userAgent: String
  let notices: Notices
  let timing: Timing

  /// The most content that is kept of an answer that is no success, in bytes.
  static let messageLimit = 64 * 1024

  /// Sends `request` once, as it is. The content of a success goes to where `sink` says, or else is kept: more than
  /// `limit` bytes of it are a `RegistryError`.
  func plain(
    _ request: HTTPRequest, limit: Int = 1 << 20,
    sink: (HTTPHead) throws -> ((UnsafeRawBufferPointer) throws -> Void)? = { _ in nil }
  ) throws -> Answer {
    guard let url = HTTPURL(request.url) else { throw HTTPError(.malformed, "malformed URL \"\(request.url)\"") }
    var request = request
    request.fields["User-Agent"] = userAgent
    var answer = Answer(status: 0, fields: HTTPFields(), url: url)
    var place: ((UnsafeRawBufferPointer) throws -> Void)?
    try transport.send(request) { head in
      answer.status = head.status
      answer.fields = head.fields
      if answer.isSuccess { place = try sink(head) }
    } body: { bytes in
      if let place { return try place(bytes) }
      guard answer.isSuccess else {
        answer.content += bytes.prefix(max(0, ClientParts.messageLimit - answer.content.count))
        return
      }
      guard answer.content.count + bytes.count <= limit else {
        throw RegistryError(.refused, "the answer of \(url.authority) has more than \(limit >> 20) MiB")
      }
      answer.content += bytes
    }
    return answer
  }
}
