internal import Core
internal import HTTP
internal import Linux
internal import Registry

extension RegistryOptions {
  /// A client as the configuration and these options say.
  func client() throws -> RegistryClient {
    let sources = try credentialSources()
    let notice = notice
    return RegistryClient(
      transport: CurlTransport(environment: { [environment = user] in environment.variables[$0] }),
      endpoints: { reference, _ in
        let isLocal = reference.registry.hasPrefix("127.") || reference.registry.hasPrefix("localhost")
        let host = reference.registry == "docker.io" ? "registry-1.docker.io" : reference.registry
        return [Endpoint(host: host, repository: reference.repository, mayFallBackToHTTP: isLocal)]
      },
      credential: { registry, repository in
        try sources.find(registry, repository).map { (credential: $0.0, source: $0.source) }
      },
      userAgent: "stave/\(Engine.version)", notice: notice)
  }

  /// Where credentials are looked for and kept.
  func credentialSources() throws -> CredentialSources {
    CredentialSources(environment: user, explicit: nil, authFile: authFile, notice: notice)
  }

  /// Who asks.
  private var user: UserEnvironment {
    var variables: [String: String] = [:]
    for entry in environment {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    return UserEnvironment(variables: variables, userID: UserNamespace.entered?.uid ?? Machine.effectiveUserID)
  }
}
