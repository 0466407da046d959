public import Core
public import HTTP
internal import Synchronization

/// Pulls from and pushes to registries (OCI distribution-spec 1.1): who asks for what, in which order, and what to do
/// with the answers. Knows no store: bytes go where the caller says.
///
/// All calls block, and belong on a thread of `BlockingPool`; they are safe from several threads at once. They throw a
/// `Failure` for people, `CancellationError` in a cancelled task, and what the caller's own closures throw.
public final class RegistryClient: Sendable {
  /// The most bytes of a manifest or an index.
  public static let manifestLimit = 4 << 20

  private let findEndpoints: @Sendable (ImageReference, Endpoint.Purpose) throws -> [Endpoint]
  let parts: ClientParts
  private let hosts = Mutex<[HostKey: RegistryHost]>([:])

  private struct HostKey: Hashable {
    var name: String
    var scheme: Endpoint.Scheme
    var tls: TLSSettings
  }

  /// A client that remembers logins and limits of hosts as long as it lives.
  ///
  /// - `endpoints`: who is asked for an image, mirrors first, the registry itself last. Pushes go to the last one.
  /// - `credential`: what to log in with at a host, as its endpoint is named, and where that is from; nil: nothing.
  /// - `notice`: is told what servers say beside their answers, each once: warnings, limits, waits.
  public init(
    transport: any HTTPTransport,
    endpoints: @escaping @Sendable (ImageReference, Endpoint.Purpose) throws -> [Endpoint],
    credential:
      @escaping @Sendable (_ registry: String, _ repository: String) throws -> (
        credential: Credential, source: String
      )?,
    userAgent: String, notice: @escaping @Sendable (String) -> Void, timing: Timing = .system
  ) {
    findEndpoints = endpoints
    parts = ClientParts(
      transport: transport, credential: credential, userAgent: userAgent, notices: Notices(notice), timing: timing)
  }

  /// A session with `endpoint`.
  func session(_ endpoint: Endpoint) -> EndpointSession {
    let key = HostKey(name: endpoint.host, scheme: endpoint.scheme, tls: endpoint.tls)
    let host = hosts.withLock { hosts in
      if let known = hosts[key] { return known }
      let new = RegistryHost(endpoint, client: parts)
      hosts[key] = new
      return new
    }
    return EndpointSession(endpoint: endpoint, host: host, client: parts)
  }

  /// Runs `body` with the endpoints of `reference`, one after the other, until one of them succeeds. Those that could
  /// not be reached before come last. Throws a `Failure` of `action`, or returns nil where the registry itself has no
  /// such thing and `optional`.
  func ask<T>(
    _ action: String, _ reference: ImageReference, _ purpose: Endpoint.Purpose, optional: Bool = false,
    _ body: (EndpointSession) throws -> T
  ) throws -> T? {
    var sessions = try findEndpoints(reference, purpose).map(session)
    guard let own = sessions.last else { throw Failure(action, "no registry is configured for it") }
    if purpose == .push { sessions = [own] }
    sessions = sessions.filter { !$0.host.isDown } + sessions.filter { $0.host.isDown }
    var errors: [(session: EndpointSession, error: RegistryError)] = []
    for session in sessions {
      do {
        return try body(session)
      } catch let error as RegistryError {
        if error.kind == .network { session.host.failed() }
        errors.append((session, error))
      } catch let error as HTTPError {
        session.host.failed()
        errors.append((session, session.refusal(of: .network(error))))
      }
    }
    // The registry itself was among them.
    guard let main = errors.first(where: { $0.session.endpoint == own.endpoint })?.error else {
      throw Failure(action, "no endpoint answered")
    }
    if optional, main.kind == .notFound { return nil }
    let others = errors.filter { $0.session.endpoint != own.endpoint }.map { "mirror \($0.error.reason)" }
    throw Failure(action, ([main.reason] + others).joined(separator: "; "), hint: main.hint)
  }

  /// As `ask`, of what must be there.
  func require<T>(
    _ action: String, _ reference: ImageReference, _ purpose: Endpoint.Purpose,
    _ body: (EndpointSession) throws -> T
  ) throws -> T {
    guard let value = try ask(action, reference, purpose, body) else { throw Failure(action, "not found") }
    return value
  }
}
