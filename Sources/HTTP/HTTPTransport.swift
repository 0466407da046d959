/// Sends one request and receives its answer: no retries, no redirects, no credentials, which are the caller's affair.
///
/// The calls block: they belong on a thread of `BlockingPool`. Safe for use from several threads at once; connections
/// are kept and used again.
public protocol HTTPTransport: Sendable {
  /// Sends `request`, calls `head` once and then `body` with each piece of the answer's content. What these throw ends
  /// the transfer and is thrown on. Throws an `HTTPError` if the server can't be reached, the transfer is cut or
  /// stalls, and `CancellationError` in a cancelled task.
  func send(
    _ request: HTTPRequest, head: (HTTPHead) throws -> Void, body: (UnsafeRawBufferPointer) throws -> Void) throws
}

/// Why a request got no whole answer.
public struct HTTPError: Error, Sendable, Equatable {
  public enum Reason: Sendable, Equatable {
    /// The name can't be resolved.
    case unknownHost
    /// Nobody listens, or there is no way there.
    case unreachable
    /// The server speaks no TLS, or none that we do.
    case tls
    /// The server's certificate was refused, or ours.
    case certificate
    /// The answer was cut, or the connection reset.
    case interrupted
    /// Nothing came for too long.
    case timeout
    /// The answer is none of HTTP, or the URL none of ours.
    case malformed
  }

  public var reason: Reason
  /// In lower case, for people: `connection refused`.
  public var text: String

  public init(_ reason: Reason, _ text: String) {
    self.reason = reason
    self.text = text
  }
}
