internal import Core
internal import HTTP

/// An upload that a registry has begun (OCI distribution-spec 1.1, Pushing Blobs), at one place of one endpoint.
struct UploadSession: Sendable {
  let session: EndpointSession
  /// Where the next request goes; every answer may change it.
  private(set) var location: HTTPURL
  /// Bytes that the registry has.
  private(set) var offset: Int64 = 0
  /// The fewest bytes of a piece that is not the last one.
  let minimum: Int

  private var scopes: ScopeSet { .push(session.endpoint.repository) }

  fileprivate init(_ session: EndpointSession, _ answer: Answer) throws {
    self.session = session
    location = try UploadSession.place(answer, session)
    minimum = answer.fields["OCI-Chunk-Min-Length"].flatMap { Int($0) } ?? 0
  }

  /// The `Location` of an answer. A registry behind a proxy that ends TLS may call itself http: it is not believed.
  private static func place(_ answer: Answer, _ session: EndpointSession) throws -> HTTPURL {
    guard let text = answer.fields["Location"], let url = answer.url.resolve(text) else {
      throw RegistryError(.refused, "\(answer.url.authority) does not say where the upload goes on")
    }
    if url.scheme == "http", answer.url.scheme == "https" {
      guard url.host == answer.url.host, let safe = url.with(scheme: "https", port: answer.url.port) else {
        throw RegistryError(.refused, "\(answer.url.authority) sends the upload to \(url.origin), which has no TLS")
      }
      return safe
    }
    return url
  }

  private mutating func follow(_ answer: Answer) throws {
    if answer.fields["Location"] != nil { location = try UploadSession.place(answer, session) }
  }

  /// Sends the last bytes (all, none) and ends the upload. The answer may be a refusal.
  func put(_ digest: Digest, _ body: HTTPBody) throws -> Answer {
    let target = location.description
    return try session.exchange(
      EndpointRequest(
        method: "PUT", target: target + (target.contains("?") ? "&" : "?") + "digest=" + HTTPURL.escape(digest.text),
        fields: [("Content-Type", "application/octet-stream")], body: body, scopes: scopes))
  }

  /// Sends `count` bytes behind those that the registry has. The answer may be a refusal, which changes nothing.
  mutating func patch(_ body: HTTPBody, count: Int64) throws -> Answer {
    let answer = try session.exchange(
      EndpointRequest(
        method: "PATCH", target: location.description,
        fields: [
          ("Content-Type", "application/octet-stream"), ("Content-Range", "\(offset)-\(offset + count - 1)"),
        ], body: body, scopes: scopes))
    guard answer.isSuccess else { return answer }
    try follow(answer)
    offset += count
    if let received = UploadSession.received(answer) { offset = received }
    return answer
  }

  /// Asks how much the registry has, and goes on there; false: it has forgotten the upload.
  mutating func synchronize() throws -> Bool {
    let answer = try session.answer(EndpointRequest(method: "GET", target: location.description, scopes: scopes))
    guard answer.isSuccess, let received = UploadSession.received(answer) else { return false }
    try follow(answer)
    offset = received
    return true
  }

  /// Gives the upload up, if the registry lets us.
  func cancel() {
    _ = try? session.exchange(EndpointRequest(method: "DELETE", target: location.description, scopes: scopes))
  }

  /// The bytes that `Range: 0-99` tells of. `0-0` is what registries write where they have none.
  static func received(_ answer: Answer) -> Int64? {
    guard var text = answer.fields["Range"], text.utf8.count < 64 else { return nil }
    if text.hasPrefix("bytes=") { text.removeFirst(6) }
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, ends[0] == "0", let last = Int64(ends[1]), last >= 0, last < Int64.max else { return nil }
    return last == 0 ? 0 : last + 1
  }
}

extension EndpointSession {
  /// What came of asking for an upload.
  enum Begun {
    case mounted
    case upload(UploadSession)
  }

  /// Begins an upload, or mounts the blob `digest` of the repository `source` of the same registry.
  func begin(mounting mount: (digest: Digest, source: String)? = nil) throws -> Begun {
    var request = EndpointRequest(method: "POST", target: base + "blobs/uploads/", scopes: .push(endpoint.repository))
    if let mount {
      request.target += "?mount=\(HTTPURL.escape(mount.digest.text))&from=\(HTTPURL.escape(mount.source))"
      request.scopes = request.scopes.union(.pull(mount.source))
    }
    let answer = try answer(request)
    guard answer.isSuccess else { throw refusal(of: answer) }
    if mount != nil, answer.status == 201 { return .mounted }
    return .upload(try UploadSession(self, answer))
  }

  /// As `begin`, of an upload.
  func beginUpload() throws -> UploadSession {
    guard case .upload(let upload) = try begin() else {
      throw RegistryError(.refused, "\(endpoint.host) began no upload")
    }
    return upload
  }
}
