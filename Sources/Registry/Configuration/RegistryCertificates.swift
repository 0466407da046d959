internal import Core
internal import HTTP
internal import Linux

/// The `certs.d` directories: for each registry its authorities and our certificate.
struct RegistryCertificates: Sendable {
  /// The directories, first asked first.
  let directories: [String]
  /// The one folder that the command line named, in place of those.
  let given: String?
  let notice: @Sendable (String) -> Void

  init(_ environment: UserEnvironment, given: String? = nil, notice: @escaping @Sendable (String) -> Void) {
    self.given = given
    let own = environment.configHome.map { ["\($0)/containers", "\($0)/docker"] } ?? []
    let docker = environment.home.map { ["\($0)/.docker"] } ?? []
    let system = ["containers", "docker"].map { "\(environment.root)/etc/\($0)" }
    directories = (own + docker + system).map { $0 + "/certs.d" }
    self.notice = notice
  }

  /// What is kept for the registry, under the first of its `names` (`host[:port]`) that a directory knows: all its
  /// authorities (`*.crt`), and the first pair of a certificate (`*.cert`) and its key (`*.key`). Throws a `Failure` if
  /// one of a pair is missing.
  func settings(_ names: [String]) throws -> TLSSettings {
    var settings = TLSSettings()
    if let given {
      guard let files = try list(given) else { throw Failure("read certificates in \(given)", "no such directory") }
      try add(files, given, to: &settings)
      return settings
    }
    for directory in directories {
      for name in names where RegistryName(name).isValid {
        let folder = "\(directory)/\(name)"
        guard let files = try list(folder) else { continue }
        try add(files, folder, to: &settings)
        break
      }
    }
    return settings
  }

  /// Adds what `folder` holds.
  private func add(_ files: [String], _ folder: String, to settings: inout TLSSettings) throws {
    settings.authorityFiles += files.filter { $0.hasSuffix(".crt") }.map { "\(folder)/\($0)" }
    let pairs = try pairs(files, folder)
    guard settings.client == nil, let first = pairs.first else { return }
    settings.client = ClientCertificate(certificateFile: first.certificate, keyFile: first.key)
    if pairs.count > 1 { notice("of several client certificates in \(folder) \(first.certificate) is used") }
  }

  /// The names of the files in `folder`, sorted; nil if there is no such folder.
  private func list(_ folder: String) throws -> [String]? {
    do {
      return try Directory(folder).entries().map { String(decoding: $0, as: UTF8.self) }
    } catch let error as SystemError where error.code == .noEntry || error.code == .notDirectory {
      return nil
    } catch let error as SystemError {
      notice("certificates in \(folder) are not used: \(error.code.text)")
      return nil
    }
  }

  private func pairs(_ files: [String], _ folder: String) throws -> [(certificate: String, key: String)] {
    for name in files where name.hasSuffix(".key") && !files.contains(name.dropLast(4) + ".cert") {
      throw Failure(
        "read certificates in \(folder)", "missing client certificate \(name.dropLast(4)).cert for key \(name)")
    }
    return try files.filter { $0.hasSuffix(".cert") }.map { name in
      let key = name.dropLast(5) + ".key"
      guard files.contains(String(key)) else {
        throw Failure(
          "read certificates in \(folder)", "missing key \(key) for client certificate \(name)",
          hint: "an authority's certificate must have a name that ends in .crt")
      }
      return ("\(folder)/\(name)", "\(folder)/\(key)")
    }
  }
}
