public import Core
internal import HTTP
internal import Linux

extension RegistriesConfiguration {
  /// Whom to ask for `reference`, in order: for a pull the mirrors of registries.conf, those of docker's `daemon.json`
  /// (for Docker Hub alone), and the registry itself; for a push the registry itself, by its own name.
  ///
  /// Throws a `Failure` if the registry is blocked, or if a location of registries.conf makes no name of the reference.
  public func endpoints(for reference: ImageReference, _ purpose: Endpoint.Purpose) throws -> [Endpoint] {
    let name = reference.canonical
    let found = table(name)
    let verb = purpose == .pull ? "pull" : "push"
    if let table = found?.table, table.isBlocked {
      throw Failure(
        "\(verb) \(reference.familiar)", "\"\(table.prefix)\" is blocked by \(table.file)",
        hint: "use another registry, or have the entry removed")
    }
    guard purpose == .pull else {
      return [try endpoint(reference.registry, reference.repository, found?.table.isInsecure ?? false)]
    }
    var endpoints: [Endpoint] = []
    for mirror in found?.table.mirrors ?? [] where mirror.use.holds(for: reference) {
      endpoints.append(try rewritten(reference, found, mirror.location, mirror.isInsecure))
    }
    let location = found?.table.location ?? ""
    if reference.registry == "docker.io", location.isEmpty || location == found?.table.prefix {
      for mirror in daemon.mirrors {
        var endpoint = try endpoint(mirror.host, reference.repository, false)
        if mirror.isPlain, verifiesTLS != true { endpoint.scheme = .http }
        endpoints.append(endpoint)
      }
    }
    endpoints.append(try rewritten(reference, found, location, found?.table.isInsecure ?? false))
    // A mirror that is named twice is asked once.
    var seen: Set<Endpoint> = []
    return endpoints.filter { seen.insert($0).inserted }
  }

  /// The registry `name` itself, as for a login: `host[:port]`, or a URL of it. Its repository is empty.
  public func endpoint(registry name: String) throws -> Endpoint {
    let host = String(AuthKey.normal(name).prefix { $0 != "/" })
    guard RegistryName(host).isValid else {
      throw Failure("use registry \(name)", "it is no host[:port]", exitCode: 125)
    }
    return try endpoint(host, "", table(host)?.table.isInsecure ?? false)
  }

  /// The endpoint at `location`, which stands in place of the prefix of `reference`.
  private func rewritten(
    _ reference: ImageReference, _ found: (table: RegistryTable, taken: Int)?, _ location: String, _ isInsecure: Bool
  ) throws -> Endpoint {
    guard let found, !location.isEmpty else {
      return try endpoint(reference.registry, reference.repository, isInsecure)
    }
    let canonical = reference.canonical
    let suffix = canonical.dropFirst(reference.registry.count + 1 + reference.repository.count)
    let whole = location + canonical.dropFirst(found.taken)
    func refuse(_ reason: String) -> Failure {
      Failure("pull \(reference.familiar)", "\(found.table.file) makes \"\(whole)\" of it, \(reason)")
    }
    guard whole.hasSuffix(suffix) else { throw refuse("which has another tag or digest") }
    let place = whole.dropLast(suffix.count)
    guard let slash = place.firstIndex(of: "/") else { throw refuse("which has no repository") }
    let repository = place[place.index(after: slash)...]
    guard repository.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(isComponent) else {
      throw refuse("which is no name of a repository")
    }
    let host = String(place[..<slash])
    guard RegistryName(host).isValid else { throw refuse("which has no host") }
    let isShort = AuthKey.registry(host) == "docker.io" && !repository.contains("/")
    return try endpoint(host, isShort ? "library/\(repository)" : String(repository), isInsecure)
  }

  private func isComponent(_ part: Substring) -> Bool {
    guard let first = part.utf8.first, first != UInt8(ascii: ".") else { return false }
    return part.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 122) || [45, 46, 95].contains($0) }
  }

  /// `isInsecure` is what registries.conf says.
  private func endpoint(_ host: String, _ repository: String, _ isInsecure: Bool) throws -> Endpoint {
    let isHub = AuthKey.registry(host) == "docker.io"
    let server = RegistryName(isHub ? "registry-1.docker.io" : host)
    let trusts = verifiesTLS.map { !$0 } ?? (isInsecure || daemon.isInsecure(server, lookUp))
    var settings = try certificates.settings(isHub ? ["docker.io", server.text] : [server.text])
    settings.verifies = !trusts
    return Endpoint(
      host: server.text, repository: repository, tls: settings,
      mayFallBackToHTTP: trusts || (verifiesTLS == nil && server.isLoopback))
  }
}

extension RegistryTable.Mirror.Use {
  fileprivate func holds(for reference: ImageReference) -> Bool {
    switch self {
    case .all: true
    case .digestOnly: reference.digest != nil
    case .tagOnly: reference.digest == nil
    }
  }
}
