/// How a server proves who it is, and we to it.
public struct TLSSettings: Sendable, Hashable {
  /// Whether the server's certificate and its name in it are checked.
  public var verifies: Bool
  /// PEM files of authorities that are trusted beside the system's, in order.
  public var authorityFiles: [String]
  /// Our certificate, or nil.
  public var client: ClientCertificate?

  public init(verifies: Bool = true, authorityFiles: [String] = [], client: ClientCertificate? = nil) {
    self.verifies = verifies
    self.authorityFiles = authorityFiles
    self.client = client
  }

  /// The system's authorities, and no certificate of ours.
  public static let system = TLSSettings()
}

/// A certificate that a client shows to a server.
public struct ClientCertificate: Sendable, Hashable {
  /// A PEM file, the certificate first, then those that lead to its authority.
  public var certificateFile: String
  /// A PEM file of the certificate's private key, without a password.
  public var keyFile: String

  public init(certificateFile: String, keyFile: String) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
  }
}
