internal import Core
internal import Linux

/// What the administrator and the user say of registries: which are asked, in whose place, and how.
///
/// Read from containers-registries.conf(5), the user's file in place of the system's, then the drop-ins; and from
/// docker's `daemon.json`, whose mirrors come after those of registries.conf.
public struct RegistriesConfiguration: Sendable {
  /// What a short name may mean where there are several registries to search (`short-name-mode`).
  public enum ShortNameMode: String, Sendable { case enforcing, permissive, disabled }

  /// `unqualified-search-registries`, and the file that says so.
  public internal(set) var searchRegistries: [String] = []
  var searchFile = ""
  public internal(set) var shortNameMode = ShortNameMode.permissive
  /// `credential-helpers`: what `CredentialSources` takes as `programs`.
  public internal(set) var credentialPrograms: [String] = []
  var aliases: [String: (name: String, file: String)] = [:]
  var tables: [RegistryTable] = []
  var daemon = DockerDaemonSettings()
  let certificates: RegistryCertificates
  /// `--tls-verify`, if it was given.
  let verifiesTLS: Bool?
  /// Asks for the addresses of a host.
  let lookUp: @Sendable (String) -> [String]

  /// Reads the files. `file` is a registries.conf that the command line named, in place of the user's and the system's.
  /// `verifiesTLS` is `--tls-verify`, nil where it was not given; `certificateDirectory` is `--cert-dir`, whose files
  /// count for every host in place of those of `certs.d`. `notice` is told what is passed over: unknown keys,
  /// files that may not be read.
  ///
  /// Throws a `Failure` that names the file, and the line where it is no TOML, if one is malformed.
  public init(
    environment: UserEnvironment, file: String? = nil, verifiesTLS: Bool? = nil, certificateDirectory: String? = nil,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    try self.init(
      environment: environment, file: file, verifiesTLS: verifiesTLS, certificateDirectory: certificateDirectory,
      notice: notice, lookUp: HostAddresses.lookUp)
  }

  init(
    environment: UserEnvironment, file: String? = nil, verifiesTLS: Bool? = nil, certificateDirectory: String? = nil,
    notice: @escaping @Sendable (String) -> Void = { _ in },
    lookUp: @escaping @Sendable (String) -> [String]
  ) throws {
    self.verifiesTLS = verifiesTLS
    self.lookUp = lookUp
    certificates = RegistryCertificates(environment, given: certificateDirectory, notice: notice)
    for source in try ConfigurationFiles(environment, given: file).sources() {
      guard let bytes = try ConfigurationFiles.read(source, notice) else { continue }
      let file = try RegistriesFile(bytes, path: source.path, isDropIn: source.isDropIn)
      for key in file.unknown { notice("\(source.path): the key \"\(key)\" is unknown") }
      merge(file)
    }
    for path in ConfigurationFiles.daemon(environment) {
      guard let bytes = try ConfigurationFiles.read(.init(path: path), notice) else { continue }
      daemon = try DockerDaemonSettings(bytes, path: path)
      break
    }
  }

  /// Puts what `file` sets in place of what is there: tables by their prefix, aliases by their name.
  mutating func merge(_ file: RegistriesFile) {
    let prefixes = Set(file.tables.map(\.prefix))
    tables.removeAll { prefixes.contains($0.prefix) }
    tables += file.tables
    if let list = file.searchRegistries { (searchRegistries, searchFile) = (list, file.path) }
    if let programs = file.programs { credentialPrograms = programs }
    if let mode = file.shortNameMode { shortNameMode = mode }
    for (name, value) in file.aliases { aliases[name] = value.isEmpty ? nil : (value, file.path) }
  }

  /// The table with the longest prefix of the canonical reference `name`, and how much of the name that takes.
  func table(_ name: String) -> (table: RegistryTable, taken: Int)? {
    var best: (table: RegistryTable, taken: Int)?
    for table in tables where table.prefix.count > best?.table.prefix.count ?? 0 {
      if let taken = table.match(name) { best = (table, taken) }
    }
    return best
  }
}
