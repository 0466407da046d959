internal import HTTP
internal import Synchronization

/// What a client has learnt of one server.
final class RegistryHost: Sendable {
  struct State {
    /// https or http, once one of them was answered.
    var scheme: Endpoint.Scheme?
    /// Whether it could not be reached: others are asked first.
    var isDown = false
  }

  let name: String
  let tokens: TokenSource
  private let state = Mutex(State())

  init(_ endpoint: Endpoint, client: ClientParts) {
    name = endpoint.host
    tokens = TokenSource(host: endpoint.host, tls: endpoint.tls, client: client)
  }

  var hasAnswered: Bool { state.withLock { $0.scheme != nil } }
  var scheme: Endpoint.Scheme? { state.withLock { $0.scheme } }
  var isDown: Bool { state.withLock { $0.isDown } }

  func answered(by scheme: Endpoint.Scheme) {
    state.withLock {
      $0.scheme = scheme
      $0.isDown = false
    }
  }

  func failed() { state.withLock { $0.isDown = true } }
}
