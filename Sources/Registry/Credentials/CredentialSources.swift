internal import Core
internal import Linux

/// Where credentials of registries are looked for and kept.
///
/// Looked for in this order: what the command line gave, `--authfile` or `$REGISTRY_AUTH_FILE`,
/// `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`, `$DOCKER_CONFIG/config.json` (else
/// `~/.docker/config.json`), `~/.dockercfg`. The first that has some for the registry, or for the part of its namespace
/// that comes nearest to the repository, is used. A file may name a credential helper instead.
///
/// The calls read files and run programs: they block. What a helper answered is kept, so use one value for a command.
public struct CredentialSources: Sendable {
  let environment: UserEnvironment
  let explicit: (registry: String, credential: Credential)?
  let authFile: String?
  let programs: [String]
  let notice: @Sendable (String) -> Void
  let answers = CredentialAnswers()

  /// `explicit` is the credential for one registry that the command line gave (other registries, as mirrors, are never
  /// shown it), `authFile` a file that it named. `programs` are the `credential-helpers` of registries.conf, where
  /// `containers-auth.json` stands for all files. `notice` is told what was passed over, once a look-up.
  public init(
    environment: UserEnvironment, explicit: (registry: String, credential: Credential)? = nil,
    authFile: String? = nil, programs: [String] = [CredentialSources.files],
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.environment = environment
    self.explicit = explicit
    self.authFile = authFile ?? environment.value("REGISTRY_AUTH_FILE")
    self.programs = programs.isEmpty ? [CredentialSources.files] : programs
    self.notice = notice
  }

  /// The name in `programs` that stands for all files.
  public static let files = "containers-auth.json"

  /// The credential for `repository` (`library/busybox`, or empty) of `registry` (`host[:port]`, where Docker Hub may
  /// go by any of its names), and who gave it: a path, a helper, `--creds`. nil if nobody has one.
  ///
  /// Throws a `Failure` that names the file or helper that is out of order; none ever shows a secret.
  public func find(_ registry: String, _ repository: String = "") throws -> (credential: Credential, source: String)? {
    let host = AuthKey.normal(registry)
    if let explicit, AuthKey.normal(explicit.registry) == host { return (explicit.credential, "--creds") }
    for program in programs {
      if program == CredentialSources.files {
        for place in places {
          if let found = try find(AuthKey.candidates(host, repository), in: place) { return found }
        }
      } else {
        let helper = CredentialProgram(program, environment: environment)
        if let found = try answers.get(helper, AuthKey.docker(host)) { return (found, helper.name) }
      }
    }
    return nil
  }

  /// A file that may have credentials.
  struct Place {
    var path: String
    var isLegacy = false
    /// The user named it: it must be there and readable.
    var isGiven = false
  }

  /// The files, in the order in which they are asked.
  var places: [Place] {
    var places: [Place] = []
    if let authFile { places.append(Place(path: authFile, isGiven: true)) }
    let runtime =
      environment.value("XDG_RUNTIME_DIR") ?? "\(environment.root)/run/containers/\(environment.userID)"
    let isOwn = environment.value("XDG_RUNTIME_DIR") != nil
    places.append(Place(path: isOwn ? "\(runtime)/containers/auth.json" : "\(runtime)/auth.json"))
    if let directory = environment.configHome { places.append(Place(path: "\(directory)/containers/auth.json")) }
    if let directory = environment.dockerConfig { places.append(Place(path: "\(directory)/config.json")) }
    if let home = environment.home { places.append(Place(path: "\(home)/.dockercfg", isLegacy: true)) }
    return places
  }

  private func find(_ candidates: [String], in place: Place) throws -> (credential: Credential, source: String)? {
    let file: AuthFile
    do {
      guard let read = try AuthFile(place.path, isLegacy: place.isLegacy) else {
        if place.isGiven {
          throw Failure("read credentials in \(place.path)", SystemError.Code.noEntry.text)
        }
        return nil
      }
      file = read
    } catch let error as SystemError {
      if place.isGiven { throw Failure("read credentials in \(place.path)", error.code.text) }
      // A root's file in a user's home: public images can still be had.
      notice("credentials in \(place.path) are not used: \(error.code.text)")
      return nil
    }
    guard let host = candidates.last else { return nil }
    if let helper = file.helper(for: host) {
      let program = CredentialProgram(helper.name, environment: environment)
      if let found = try answers.get(program, AuthKey.docker(host)) {
        return (found, "\(program.name), which \(place.path) names")
      }
      if !helper.isDefault { return nil }
    }
    return try file.credential(candidates).map { ($0, place.path) }
  }
}
