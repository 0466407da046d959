public import Core
internal import HTTP

/// A repository that a search found.
public struct SearchResult: Sendable, Hashable {
  /// `busybox`, `localhost:5000/app`.
  public var name: String
  public var description: String
  public var stars: Int64
  public var isOfficial: Bool
  public var isAutomated: Bool

  public init(
    name: String, description: String = "", stars: Int64 = 0, isOfficial: Bool = false, isAutomated: Bool = false
  ) {
    self.name = name
    self.description = description
    self.stars = stars
    self.isOfficial = isOfficial
    self.isAutomated = isAutomated
  }
}

extension RegistryClient {
  /// The repositories of Docker Hub that match `term`, as its own search sorts them; at most `limit`, 1 ... 100.
  public func searchHub(_ term: String, limit: Int) throws -> [SearchResult] {
    let action = "search Docker Hub for \(term)"
    let query = "q=\(HTTPURL.escape(term))&n=\(limit)"
    let session = session(Endpoint(host: "index.docker.io", repository: ""))
    let json = try asking(action, session) { session in
      try session.document("/v1/search?\(query)", scopes: .none).json
    }
    guard let results = json["results"]?.array else { throw Failure(action, "index.docker.io gave no results") }
    return results.prefix(limit).compactMap { result in
      guard let name = result["name"]?.string else { return nil }
      return SearchResult(
        name: name, description: result["description"]?.string ?? "", stars: result["star_count"]?.int ?? 0,
        isOfficial: result["is_official"]?.bool ?? false, isAutomated: result["is_automated"]?.bool ?? false)
    }
  }

  /// The names of the repositories of the registry of `reference`, as it sorts them. Many registries refuse it.
  public func catalog(of reference: ImageReference) throws -> [String] {
    let action = "list the repositories of \(reference.registry)"
    return try require(action, reference, .push) { session in
      var target = "/v2/_catalog?n=1000"
      var seen: Set<String> = []
      var names: [String] = []
      while seen.count < 1000, seen.insert(target).inserted {
        let (json, answer) = try session.document(target, scopes: ScopeSet(text: "registry:catalog:*"))
        guard let page = json["repositories"]?.array else {
          throw RegistryError(.refused, "\(session.endpoint.host) gave no list of repositories")
        }
        names += page.compactMap(\.string)
        guard let link = EndpointSession.next(answer.fields.values("Link")), let url = answer.url.resolve(link),
          url.origin == answer.url.origin
        else { break }
        target = url.description
      }
      return names
    }
  }

  private func asking<T>(_ action: String, _ session: EndpointSession, _ body: (EndpointSession) throws -> T) throws
    -> T
  {
    do {
      return try body(session)
    } catch let error as RegistryError {
      throw Failure(action, error.reason, hint: error.hint)
    } catch let error as HTTPError {
      throw Failure(action, session.refusal(of: .network(error)).reason)
    }
  }
}

extension EndpointSession {
  /// The JSON that a GET of `target` gives.
  fileprivate func document(_ target: String, scopes: ScopeSet) throws -> (json: JSON, answer: Answer) {
    let answer = try answer(EndpointRequest(method: "GET", target: target, scopes: scopes, limit: 16 << 20))
    guard answer.isSuccess else { throw refusal(of: answer) }
    guard let json = try? JSON.parse(answer.content) else {
      throw RegistryError(.refused, "\(endpoint.host) gave no JSON")
    }
    return (json, answer)
  }
}
