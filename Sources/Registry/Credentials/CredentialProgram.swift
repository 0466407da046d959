internal import Core
internal import Linux

/// A credential helper, `docker-credential-NAME`: a program that keeps credentials, asked in docker's protocol. The
/// server's URL goes to its input, JSON comes from its output.
struct CredentialProgram {
  /// `docker-credential-ecr-login`.
  let name: String
  let environment: UserEnvironment
  /// How long it may take, in seconds: somebody may have to type a password.
  var patience: Int64 = 60

  /// `suffix` is what files call the helper, `ecr-login`.
  init(_ suffix: String, environment: UserEnvironment) {
    name = "docker-credential-\(suffix)"
    self.environment = environment
  }

  /// What the helper knows of `server`; nil if nothing.
  func get(_ server: String) throws -> Credential? {
    guard let output = try run("get", Array(server.utf8), about: server) else { return nil }
    guard let answer = try? JSON.parse(output), answer.object != nil else {
      throw failure("get", server, "its answer is no JSON object")
    }
    let user = answer["Username"]?.string ?? ""
    let secret = answer["Secret"]?.string ?? ""
    return user.isEmpty && secret.isEmpty ? nil : Credential(user: user, secret: secret)
  }

  /// Hands `credential` over to the helper.
  func store(_ server: String, _ credential: Credential) throws {
    let (user, secret): (String, String)
    switch credential {
    case .password(let name, let password): (user, secret) = (name, password)
    case .identityToken(let token): (user, secret) = (Credential.tokenUser, token)
    case .registryToken: throw failure("store", server, "helpers keep no registry tokens")
    }
    let message: JSON = .object(["ServerURL": .string(server), "Username": .string(user), "Secret": .string(secret)])
    _ = try run("store", message.bytes, about: server, secret: secret)
  }

  /// Makes the helper forget `server`; false if it knew nothing.
  func erase(_ server: String) throws -> Bool { try run("erase", Array(server.utf8), about: server) != nil }

  /// The servers that the helper knows, each with its user.
  func list() throws -> [String: String] {
    guard let output = try run("list", [], about: nil) else { return [:] }
    guard let answer = try? JSON.parse(output).object else {
      throw failure("list", nil, "its answer is no JSON object")
    }
    return answer.compactMapValues(\.string)
  }

  /// What the helper wrote; nil if it says that there are no such credentials.
  private func run(_ verb: String, _ input: [UInt8], about server: String?, secret: String? = nil) throws -> [UInt8]? {
    guard !name.contains("/") else { throw failure(verb, server, "a helper's name can't be a path") }
    guard let program = ChildProcess.find(name, in: environment.variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
    else {
      throw failure(
        verb, server, "program not found in PATH",
        hint: "install it, or remove it from \"credsStore\" or \"credHelpers\" of the configuration file")
    }
    let outcome: ChildProcess.Outcome
    do {
      outcome = try ChildProcess.run(
        program, [verb], environment: environment.list, input: input, seconds: patience)
    } catch let error as SystemError {
      throw failure(verb, server, error.description)
    } catch let error as Failure {
      throw failure(verb, server, error.reason)
    }
    if outcome.status == .exited(0) { return outcome.output }
    // Docker's helpers say why on their output, others on their errors.
    let said = [outcome.output, outcome.errors].lazy.map(CredentialProgram.line).first { !$0.isEmpty } ?? ""
    if said.lowercased().hasPrefix("credentials not found in native keychain") { return nil }
    // A document is an answer, which may hold a secret, and no explanation.
    let shown = said.hasPrefix("{") ? "" : said
    var reason = shown.isEmpty ? outcome.status.description : "\(shown) (\(outcome.status))"
    if let secret, !secret.isEmpty { reason = reason.split(separator: secret).joined(separator: "***") }
    throw failure(verb, server, reason)
  }

  /// The first line of `bytes` that is not empty, at most 300 characters of it.
  private static func line(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes.prefix(4096), as: UTF8.self)
    let line = text.split(whereSeparator: \.isNewline).first { $0.contains { !$0.isWhitespace } } ?? ""
    return String(line.drop(while: \.isWhitespace).prefix(300))
  }

  private func failure(_ verb: String, _ server: String?, _ reason: String, hint: String? = nil) -> Failure {
    let verbs = ["get": "get credentials of", "store": "store credentials of", "erase": "erase credentials of"]
    let what = verbs[verb].map { "\($0) \(server ?? "")" } ?? "list credentials"
    return Failure("\(what) with \(name)", reason, hint: hint)
  }
}
