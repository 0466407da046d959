public import Core

extension RegistriesConfiguration {
  /// What `text`, a name as it was typed, may mean where it has to be fetched; one after the other is tried.
  ///
  /// A name with a registry means itself. A short one, `busybox`, means an alias if there is one; else Docker Hub, as
  /// docker's users expect; and only where `unqualified-search-registries` is set and leaves Docker Hub out, the
  /// registries that it names. Images that are here already go by Docker's names: look for those before.
  ///
  /// Throws a `Failure` if `text` is no reference, or if it may mean several and `short-name-mode` is enforcing.
  public func meanings(of text: String) throws -> [ImageReference] {
    let plain = try ImageReference(text)
    guard isShort(text) else { return [plain] }
    let name = RegistriesConfiguration.repository(text)
    let suffix = text.dropFirst(name.count)
    if let alias = aliases[name] {
      let isFull = RegistriesConfiguration.repository(alias.name) == alias.name && !isShort(alias.name)
      guard isFull, (try? ImageReference(alias.name)) != nil else {
        throw Failure(
          "pull \(text)", "the alias \"\(name)\" in \(alias.file) is no full name without tag: \"\(alias.name)\"")
      }
      return [try ImageReference(alias.name + suffix)]
    }
    if searchRegistries.isEmpty || searchRegistries.contains(where: { AuthKey.registry($0) == "docker.io" }) {
      return [plain]
    }
    if searchRegistries.count > 1, shortNameMode == .enforcing {
      throw Failure(
        "pull \(text)",
        "the name is short, and \(searchFile) has several registries to search: "
          + searchRegistries.joined(separator: ", "),
        hint: "write the registry in front of the name, as \(searchRegistries[0])/\(text)")
    }
    return try searchRegistries.map { host in
      let meaning = try ImageReference("\(host)/\(text)")
      guard meaning.registry == host else {
        throw Failure("pull \(text)", "\(searchFile) searches \"\(host)\", which is no host with a dot or a port")
      }
      return meaning
    }
  }

  /// Whether the reference `text` names no registry.
  private func isShort(_ text: String) -> Bool {
    guard let slash = text.firstIndex(of: "/") else { return true }
    let first = text[..<slash]
    return !["docker.io", "index.docker.io"].contains(first) && (try? ImageReference(text))?.registry == "docker.io"
  }

  /// `text` without tag and digest.
  private static func repository(_ text: String) -> String {
    let name = text.prefix { $0 != "@" }
    guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else { return String(name) }
    return String(name[..<colon])
  }
}
