internal import Core
internal import HTTP
internal import Linux
internal import Registry
internal import Synchronization

/// One command's dealings with registries: their configuration, the credentials, and a client for both.
struct RegistryAccess: Sendable {
  let configuration: RegistriesConfiguration
  let credentials: CredentialSources
  let client: RegistryClient

  /// What the options and the files that they name say. `registry` is the one that `--creds` is for.
  init(_ options: RegistryOptions, for registry: String? = nil) throws {
    let user = options.user
    let configuration = try RegistriesConfiguration(
      environment: user, verifiesTLS: options.verifiesTLS, certificateDirectory: options.certificateDirectory,
      notice: options.notice)
    let explicit = try options.credentials.map { text in
      guard let registry else { throw Failure("read --creds", "it is for no single registry", exitCode: 125) }
      return (registry: registry, credential: try Credential.parse(text))
    }
    let credentials = CredentialSources(
      environment: user, explicit: explicit, authFile: options.authFile,
      programs: configuration.credentialPrograms, notice: options.notice)
    self.configuration = configuration
    self.credentials = credentials
    client = RegistryAccess.client(configuration, options) { try credentials.find($0, $1) }
  }

  /// Runs `body` with what the typed name `text` may mean, one after the other, until it succeeds for one of them.
  func first<T: Sendable>(
    of text: String, _ body: (ImageReference) async throws -> T
  ) async throws -> (reference: ImageReference, result: T) {
    let meanings = try configuration.meanings(of: text)
    var failures: [Failure] = []
    for meaning in meanings {
      do {
        return (meaning, try await body(meaning))
      } catch let failure as Failure {
        failures.append(failure)
      }
    }
    guard let first = failures.first else { throw Failure("pull \(text)", "no registry is configured for it") }
    guard failures.count > 1 else { throw first }
    throw Failure("pull \(text)", failures.map(\.description).joined(separator: "; "), hint: first.hint)
  }

  /// A client that shows registries `credential`.
  static func client(
    _ configuration: RegistriesConfiguration, _ options: RegistryOptions,
    credential: @escaping @Sendable (String, String) throws -> (credential: Credential, source: String)?
  ) -> RegistryClient {
    let variables = options.user.variables
    return RegistryClient(
      transport: CurlTransport(environment: { variables[$0] }),
      endpoints: { try configuration.endpoints(for: $0, $1) }, credential: credential,
      userAgent: "stave/\(Engine.version)", notice: options.notice)
  }
}

extension RegistryOptions {
  /// Who asks: outside the user namespace, where there is one.
  var user: UserEnvironment {
    var variables: [String: String] = [:]
    for entry in environment {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    return UserEnvironment(variables: variables, userID: UserNamespace.entered?.uid ?? Machine.effectiveUserID)
  }
}
