public import HTTP

/// One server that is asked for a repository: the registry itself, or a mirror of it.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
  /// What for.
  public enum Purpose: Sendable, Hashable { case pull, push }

  public enum Scheme: String, Sendable, Hashable { case http, https }

  public var scheme: Scheme
  /// With the port where it is not the scheme's: `registry-1.docker.io`, `localhost:5000`, `[::1]:5000`.
  public var host: String
  /// As this endpoint calls it: `library/busybox`, or `hub/library/busybox` on a mirror.
  public var repository: String
  public var tls: TLSSettings
  /// Whether http is tried where nobody speaks https: registries on this machine, and those named insecure. A
  /// certificate that is refused is no reason to.
  public var mayFallBackToHTTP: Bool

  public init(
    scheme: Scheme = .https, host: String, repository: String, tls: TLSSettings = .system,
    mayFallBackToHTTP: Bool = false
  ) {
    self.scheme = scheme
    self.host = host
    self.repository = repository
    self.tls = tls
    self.mayFallBackToHTTP = mayFallBackToHTTP
  }

  /// `mirror.example:5000/hub/library/busybox`.
  public var description: String { "\(host)/\(repository)" }
}
