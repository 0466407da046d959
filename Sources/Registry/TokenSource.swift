internal import Core
internal import HTTP
internal import Synchronization

/// The `Authorization` of requests to one host: what its challenges ask for, made of the credentials found for it.
///
/// Nothing is sent before a challenge. Tokens are kept until they expire, and used wherever their scopes suffice.
final class TokenSource: Sendable {
  /// A credential, and where it is from.
  typealias Found = (credential: Credential, source: String)

  private enum Mode: Sendable {
    case open
    case basic
    case bearer(realm: HTTPURL, service: String?)
  }

  private struct Token {
    var scopes: ScopeSet
    var text: String
    /// Seconds of the clock.
    var expires: Int64
  }

  private struct State {
    var mode = Mode.open
    var tokens: [Token] = []
  }

  let host: String
  private let tls: TLSSettings
  private let client: ClientParts
  private let state = Mutex(State())
  /// Held while a token is fetched: who needs one too waits for it.
  private let fetching = Mutex(())

  init(host: String, tls: TLSSettings, client: ClientParts) {
    self.host = host
    self.tls = tls
    self.client = client
  }

  /// The credential for `repository`, or nil.
  func credential(_ repository: String) throws -> Found? { try client.credential(host, repository) }

  /// The value of the field for a request of `scopes` on `repository`, or nil: none is needed, as far as is known.
  func authorization(_ scopes: ScopeSet, repository: String) throws -> String? {
    switch state.withLock({ $0.mode }) {
    case .open: return nil
    case .basic: return try basic(repository)
    case .bearer(let realm, let service):
      if let token = known(scopes) { return "Bearer \(token)" }
      return try fetching.withLock { _ in
        if let token = known(scopes) { return "Bearer \(token)" }
        return "Bearer \(try fetch(realm, service, scopes, repository: repository))"
      }
    }
  }

  /// A value other than `refused`, which got the challenges `fields`. Throws a `RegistryError` if there is none.
  func renewed(
    _ challenges: [AuthenticateChallenge], _ scopes: ScopeSet, repository: String, refused: String?, isSecure: Bool
  ) throws -> String {
    if let bearer = challenges.first(where: { $0.scheme == "bearer" }), let realm = bearer.parameters["realm"] {
      let url = try check(realm: realm, isSecure: isSecure)
      let service = bearer.parameters["service"]
      let wanted = scopes.union(ScopeSet(text: bearer.parameters["scope"] ?? ""))
      state.withLock { $0.mode = .bearer(realm: url, service: service) }
      return try fetching.withLock { _ in
        if let token = known(wanted), "Bearer \(token)" != refused { return "Bearer \(token)" }
        state.withLock { $0.tokens.removeAll { "Bearer \($0.text)" == refused } }
        return "Bearer \(try fetch(url, service, wanted, repository: repository))"
      }
    }
    if challenges.contains(where: { $0.scheme == "basic" }) {
      guard let value = try basic(repository), value != refused else {
        throw try refusal(repository, nil)
      }
      state.withLock { $0.mode = .basic }
      return value
    }
    if challenges.isEmpty { throw try refusal(repository, nil) }
    let names = ForeignText.line(challenges.map(\.scheme).joined(separator: ", "))
    throw RegistryError(.unauthorized, "\(host) asks for authentication by \(names), which is not supported")
  }

  /// Why the host wants other credentials; `message` are its own words.
  func refusal(_ repository: String, _ message: String?) throws -> RegistryError {
    let name = host == "registry-1.docker.io" ? "docker.io" : host
    let words = message.map { ": \($0)" } ?? ""
    guard let (_, source) = try credential(repository) else {
      return RegistryError(
        .unauthorized, "\(name) wants a login, or there is no such repository\(words)",
        hint: "log in with \"stave login \(name)\"; no credentials for it were found")
    }
    return RegistryError(
      .unauthorized, "\(name) refused the credentials of \(source)\(words)",
      hint: "log in again with \"stave login \(name)\""
        + (repository.isEmpty ? "" : ", or ask for access to \(repository)"))
  }

  private func basic(_ repository: String) throws -> String? {
    switch try credential(repository)?.credential {
    case .password(let user, let password): "Basic " + Base64.encode("\(user):\(password)".utf8)
    case .registryToken(let token): "Bearer " + token
    case .identityToken, nil: nil
    }
  }

  /// The realm as a URL, which gets a password: not over http where the registry speaks https.
  private func check(realm: String, isSecure: Bool) throws -> HTTPURL {
    guard let url = HTTPURL(realm) else {
      throw RegistryError(.refused, "\(host) names a malformed token server, \"\(ForeignText.line(realm))\"")
    }
    guard url.scheme == "https" || !isSecure else {
      throw RegistryError(
        .refused, "\(host) names a token server without TLS, \(url.origin): no password is sent there")
    }
    return url
  }

  private func known(_ scopes: ScopeSet) -> String? {
    let now = client.timing.now().seconds
    return state.withLock { state in
      state.tokens.removeAll { $0.expires <= now }
      return state.tokens.first { $0.scopes.covers(scopes) }?.text
    }
  }

  /// Asks the token server `realm` (distribution's token and OAuth2 specifications).
  private func fetch(_ realm: HTTPURL, _ service: String?, _ scopes: ScopeSet, repository: String) throws -> String {
    let found = try credential(repository)
    if case .registryToken(let token) = found?.credential { return token }
    var answer: Answer?
    if case .identityToken(let token) = found?.credential {
      let posted = try ask(.init("POST", realm.description, body: refreshBody(token, service, scopes)), repository)
      // Not every token server has OAuth2.
      if posted.status != 404, posted.status != 405 { answer = posted }
    }
    let final = try answer ?? ask(getRequest(realm, service, scopes, found?.credential), repository)
    guard final.isSuccess else {
      let words = final.message ?? "status \(final.status)"
      if final.status == 400 || final.status == 401 || final.status == 403 {
        throw try refusal(repository, "the token server \(realm.authority) says \(words)")
      }
      throw RegistryError(.refused, "the token server \(realm.authority) says \(words)")
    }
    guard let json = try? JSON.parse(final.content), let text = json["token"]?.string ?? json["access_token"]?.string,
      !text.isEmpty, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
    else { throw RegistryError(.refused, "the token server \(realm.authority) gave no token") }
    let seconds = min(max(json["expires_in"]?.int ?? 60, 1), 7 * 86400)
    // Not to be sent in its last moments.
    let expires = client.timing.now().seconds + seconds - min(10, seconds / 5)
    state.withLock { $0.tokens.append(Token(scopes: scopes, text: text, expires: expires)) }
    return text
  }

  private func getRequest(
    _ realm: HTTPURL, _ service: String?, _ scopes: ScopeSet, _ credential: Credential?
  ) -> HTTPRequest {
    var parameters = service.map { ["service=" + HTTPURL.escape($0)] } ?? []
    parameters += scopes.texts.map { "scope=" + HTTPURL.escape($0) }
    var url = realm.description
    if !parameters.isEmpty { url += (url.contains("?") ? "&" : "?") + parameters.joined(separator: "&") }
    var request = HTTPRequest("GET", url)
    switch credential {
    case .password(let user, let password):
      request.fields["Authorization"] = "Basic " + Base64.encode("\(user):\(password)".utf8)
    case .identityToken(let token):
      request.fields["Authorization"] = "Basic " + Base64.encode("<token>:\(token)".utf8)
    case .registryToken, nil: break
    }
    return request
  }

  private func refreshBody(_ token: String, _ service: String?, _ scopes: ScopeSet) -> HTTPBody {
    var parts = ["grant_type=refresh_token", "client_id=stave", "refresh_token=" + HTTPURL.escape(token)]
    if let service { parts.append("service=" + HTTPURL.escape(service)) }
    if !scopes.texts.isEmpty { parts.append("scope=" + HTTPURL.escape(scopes.texts.joined(separator: " "))) }
    return .bytes(Array(parts.joined(separator: "&").utf8))
  }

  private func ask(_ request: HTTPRequest, _ repository: String) throws -> Answer {
    var request = request
    request.tls = tls
    request.fields["Accept"] = "application/json"
    if request.method == "POST" { request.fields["Content-Type"] = "application/x-www-form-urlencoded" }
    var plan = RetryPlan()
    while true {
      do {
        let answer = try client.plain(request)
        guard RetryPlan.isPassing(answer.status) else { return answer }
        let after = RetryPlan.seconds(retryAfter: answer.fields["Retry-After"], now: client.timing.now())
        guard let delay = plan.delay(retryAfter: after, random: client.timing.random()) else { return answer }
        try client.timing.sleep(delay)
      } catch let error as HTTPError {
        let mayPass = error.reason == .interrupted || error.reason == .timeout
        guard mayPass, let delay = plan.delay(retryAfter: nil, random: client.timing.random()) else {
          let server = HTTPURL(request.url)?.authority ?? host
          throw RegistryError(.network, "the token server \(server) can't be asked: \(error.text)")
        }
        try client.timing.sleep(delay)
      }
    }
  }
}
