internal import Core
internal import Linux
internal import Synchronization

/// The certificate authorities of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
final class SystemAuthorities: Sendable {
  /// A PEM file, or nil: libcurl's own default.
  let file: String?
  /// A directory (several, with colons between) with certificates by their hash, or nil: libcurl's own default.
  let directory: String?
  private let bundles = Mutex<[[String]: [UInt8]]>([:])

  /// Where the distributions have their bundle.
  private static let places = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
  ]

  init(environment: (String) -> String?) {
    func value(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
    file = value("SSL_CERT_FILE")
    directory = value("SSL_CERT_DIR")
  }

  /// The system's bundle and the PEM `files` in one; throws a `Failure` if one of `files` can't be read.
  func bundle(with files: [String]) throws -> [UInt8] {
    if let known = bundles.withLock({ $0[files] }) { return known }
    var out: [UInt8] = []
    if let file {
      out = try SystemAuthorities.read(file)
    } else if let place = try SystemAuthorities.places.first(where: { try HostPath.status($0) != nil }) {
      out = try SystemAuthorities.read(place)
    }
    for file in files { out += [UInt8(ascii: "\n")] + (try SystemAuthorities.read(file)) }
    return bundles.withLock {
      $0[files] = out
      return out
    }
  }

  private static func read(_ file: String) throws -> [UInt8] {
    do {
      return try HostPath.read(file, limit: 16 << 20)
    } catch let error as SystemError {
      throw Failure("read certificates from \(file)", error.code.text)
    }
  }
}
