internal import Core
internal import Linux
internal import Registry

extension Engine {
  /// Docker Hub's name, as `login` shows it.
  public static let dockerHub = "https://index.docker.io/v1/"

  /// Verifies `user` and `password` at the registry `server` and keeps them where Docker would. Returns remarks for the
  /// user.
  public func login(_ server: String, _ user: String, _ password: String, _ options: RegistryOptions) async throws
    -> (place: String, warnings: [String])
  {
    try await BlockingPool.shared.run {
      let credential = Credential(user: user, secret: password)
      let access = try RegistryAccess(options)
      let client = RegistryAccess.client(access.configuration, options) { _, _ in (credential, "the login") }
      try client.ping(access.configuration.endpoint(registry: server))
      let (place, hiddenBy) = try access.credentials.store(server, credential)
      var warnings: [String] = []
      if !place.contains(", which ") {
        warnings.append("your credentials are stored unencrypted in \(place)")
      }
      if let hiddenBy { warnings.append("\(hiddenBy) comes first and has other credentials for \(server)") }
      return (place, warnings)
    }
  }

  /// Forgets the credentials for `server`; false if there were none.
  public func logout(_ server: String, _ options: RegistryOptions) async throws -> Bool {
    try await BlockingPool.shared.run { try RegistryAccess(options).credentials.erase(server) }
  }

  /// Who is logged in to `server`, or nil.
  public func user(of server: String, _ options: RegistryOptions) async throws -> String? {
    try await BlockingPool.shared.run {
      guard let (credential, _) = try RegistryAccess(options).credentials.find(server) else { return nil }
      if case .password(let user, _) = credential { return user }
      return "<token>"
    }
  }
}
