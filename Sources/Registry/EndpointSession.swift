internal import Core
internal import HTTP

/// One request to an endpoint.
struct EndpointRequest {
  var method: String
  /// `/v2/...`, or an absolute URL that the registry gave.
  var target: String
  var fields: [(name: String, value: String)] = []
  var body: HTTPBody = .none
  var scopes: ScopeSet
  /// The most bytes of content that a success may have.
  var limit = 4 << 20
}

/// Speaks to one endpoint: authentication, redirects, http where it may be, and tries again what may pass.
struct EndpointSession: Sendable {
  let endpoint: Endpoint
  let host: RegistryHost
  let client: ClientParts

  typealias Sink = (HTTPHead) throws -> ((UnsafeRawBufferPointer) throws -> Void)?

  /// The endpoint's repository in a path: `/v2/library/busybox/`.
  var base: String { "/v2/\(endpoint.repository)/" }

  /// The server's own origin, `https://host:5000`.
  private func origin(_ scheme: Endpoint.Scheme) throws -> HTTPURL {
    guard let url = HTTPURL("\(scheme.rawValue)://\(endpoint.host)/") else {
      throw RegistryError(.refused, "\"\(endpoint.host)\" is no name of a host")
    }
    return url
  }

  /// Sends `request` until it is answered by what is no passing trouble. Throws a `RegistryError` if that takes too
  /// long or the network is in the way.
  func answer(_ request: EndpointRequest) throws -> Answer {
    var plan = RetryPlan()
    while true {
      let trouble: Trouble
      do {
        let answer = try exchange(request)
        guard Trouble.isPassing(answer) else { return answer }
        trouble = .status(answer)
      } catch let error as HTTPError {
        trouble = .network(error)
      }
      try wait(after: trouble, &plan)
    }
  }

  /// Sleeps before the next try; throws why there is none.
  func wait(after trouble: Trouble, _ plan: inout RetryPlan) throws {
    let after: Int64?
    switch trouble {
    case .network(let error):
      after = nil
      let mayPass: Bool =
        switch error.reason {
        case .interrupted, .timeout, .malformed: true
        case .unreachable, .unknownHost, .tls: host.hasAnswered
        case .certificate: false
        }
      if !mayPass { throw refusal(of: trouble) }
    case .status(let answer):
      after = RetryPlan.seconds(retryAfter: answer.fields["Retry-After"], now: client.timing.now())
    case .content: after = nil
    }
    guard let delay = plan.delay(retryAfter: after, random: client.timing.random()) else { throw refusal(of: trouble) }
    if delay >= .seconds(5) {
      client.notices.tell(
        "\(refusal(of: trouble).reason); trying again in \(delay.components.seconds) s",
        key: "wait \(endpoint.host)")
    }
    try client.timing.sleep(delay)
  }

  /// One try: with a login where one is asked for, and where the redirects lead.
  func exchange(_ request: EndpointRequest, sink: Sink = { _ in nil }) throws -> Answer {
    var own = try origin(host.scheme ?? endpoint.scheme)
    guard var url = own.resolve(request.target) else {
      throw RegistryError(.refused, "\(endpoint.host) gave a malformed URL, \"\(ForeignText.line(request.target))\"")
    }
    var authorization = try host.tokens.authorization(request.scopes, repository: endpoint.repository)
    var renewals = 0
    var redirects = 0
    var isElsewhere = false
    while true {
      let isOwn = url.origin == own.origin
      isElsewhere = isElsewhere || !isOwn
      var answer = try send(request, url, authorization: isOwn ? authorization : nil, isOwn: isOwn, sink)
      // http may have taken the place of https.
      own = try origin(host.scheme ?? endpoint.scheme)
      answer.isElsewhere = isElsewhere
      client.notices.look(at: answer.fields, host: endpoint.host)
      if answer.status == 401, isOwn, renewals < 2 {
        renewals += 1
        authorization = try host.tokens.renewed(
          AuthenticateChallenge.parse(answer.fields.values("WWW-Authenticate")), request.scopes,
          repository: endpoint.repository, refused: authorization, isSecure: own.scheme == "https")
        if answer.url.origin == own.origin { url = answer.url }
      } else if EndpointSession.isRedirect(answer.status, request.method), let place = answer.fields["Location"] {
        redirects += 1
        url = try redirect(from: answer.url, to: place, count: redirects)
      } else {
        return answer
      }
    }
  }

  private static func isRedirect(_ status: Int, _ method: String) -> Bool {
    switch status {
    case 307, 308: true
    case 301, 302, 303: method == "GET" || method == "HEAD"
    default: false
    }
  }

  private func redirect(from url: HTTPURL, to place: String, count: Int) throws -> HTTPURL {
    guard count <= 10 else { throw RegistryError(.refused, "\(endpoint.host) redirects without end") }
    guard let next = url.resolve(place) else {
      throw RegistryError(.refused, "\(url.authority) redirects to a malformed URL, \"\(ForeignText.line(place))\"")
    }
    guard next.scheme == "https" || url.scheme == "http" else {
      throw RegistryError(.refused, "\(url.authority) redirects to \(next.origin), which has no TLS")
    }
    return next
  }

  /// Sends it to `url`; on the first contact with a server that may speak http, also by http.
  private func send(
    _ request: EndpointRequest, _ url: HTTPURL, authorization: String?, isOwn: Bool, _ sink: Sink
  ) throws -> Answer {
    var out = HTTPRequest(request.method, url.description, fields: HTTPFields(request.fields), body: request.body)
    out.fields["Authorization"] = authorization
    out.tls = endpoint.tls
    if !isOwn { out.tls.client = nil }
    let mayFallBack =
      isOwn && !host.hasAnswered && endpoint.mayFallBackToHTTP && url.scheme == "https"
    // A server of http may wait for the rest of a line where it is greeted in TLS.
    if mayFallBack { out.connectSeconds = 5 }
    do {
      let answer = try client.plain(out, limit: request.limit, sink: sink)
      if isOwn { host.answered(by: url.scheme == "http" ? .http : .https) }
      return answer
    } catch let error as HTTPError {
      guard mayFallBack, [.tls, .unreachable, .timeout].contains(error.reason) else { throw error }
      let isDefaultPort = url.port == 443
      guard let plain = url.with(scheme: "http", port: isDefaultPort ? 80 : url.port) else { throw error }
      out.url = plain.description
      do {
        let answer = try client.plain(out, limit: request.limit, sink: sink)
        host.answered(by: .http)
        return answer
      } catch let second as HTTPError {
        // Somebody is there: what he did when asked by http counts.
        throw error.reason == .unreachable ? error : second
      }
    }
  }
}
