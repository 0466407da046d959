internal import Core
internal import Linux

extension CredentialSources {
  /// Keeps `credential` for `registry` (`host[:port]`, or a part of its namespace, `quay.io/user`) where docker would:
  /// in `$DOCKER_CONFIG/config.json`, or with the helper that this file names; in the file of `--authfile` or
  /// `$REGISTRY_AUTH_FILE` if there is one. The file is replaced whole, readable by its owner alone, and keeps all else
  /// that stands in it; where it is a symbolic link, its target is.
  ///
  /// Returns where that is, and who is asked before that place and has another credential for the registry, or nil.
  /// Throws a `Failure` without having changed a file that is malformed.
  public func store(_ registry: String, _ credential: Credential) throws -> (place: String, hiddenBy: String?) {
    if case .password(let user, _) = credential, user.contains(":") {
      throw Failure("store credentials of \(registry)", "a user's name can't contain a colon")
    }
    let key = AuthKey.normal(registry)
    defer { answers.forget() }
    if let program = programs.first, program != CredentialSources.files {
      let helper = CredentialProgram(program, environment: environment)
      try helper.store(AuthKey.docker(key), credential)
      return (helper.name, nil)
    }
    var place = ""
    let path = try target()
    try change(path) { file in
      place = path
      var entry: [String: JSON] = [:]
      if let helper = file.helper(for: key.host) {
        let program = CredentialProgram(helper.name, environment: environment)
        try program.store(AuthKey.docker(key), credential)
        place = "\(program.name), which \(path) names"
      } else {
        entry = credential.entry
      }
      for old in file.keys(for: key) { file.entries[old] = nil }
      // An empty entry is docker's mark for what a helper keeps.
      file.entries[authFile == nil ? AuthKey.docker(key) : key] = .object(entry)
      return true
    }
    return (place, hiding(key, path))
  }

  /// Forgets the credential for `registry` where `store` would keep it; false if there was none.
  public func erase(_ registry: String) throws -> Bool {
    let key = AuthKey.normal(registry)
    defer { answers.forget() }
    if let program = programs.first, program != CredentialSources.files {
      return try CredentialProgram(program, environment: environment).erase(AuthKey.docker(key))
    }
    let path = try target()
    guard try HostPath.status(path) != nil else { return false }
    var wasThere = false
    try change(path) { file in
      let keys = file.keys(for: key)
      if let helper = file.helper(for: key.host) {
        wasThere = try CredentialProgram(helper.name, environment: environment).erase(AuthKey.docker(key))
      }
      wasThere = try wasThere || file.credential([key]) != nil
      for old in keys { file.entries[old] = nil }
      return !keys.isEmpty
    }
    return wasThere
  }

  /// The file that `store` changes.
  private func target() throws -> String {
    if let authFile { return authFile }
    guard let directory = environment.dockerConfig else {
      throw Failure("store credentials", "HOME is not set", hint: "set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE")
    }
    return "\(directory)/config.json"
  }

  /// Who is asked before the file `path` and knows `key`.
  private func hiding(_ key: String, _ path: String) -> String? {
    for place in places {
      if place.path == path { return nil }
      guard let file = try? AuthFile(place.path, isLegacy: place.isLegacy) else { continue }
      if file.helper(for: key.host)?.isDefault == false || (try? file.credential([key])) != nil { return place.path }
    }
    return nil
  }

  /// Replaces the file `path` by what `body` makes of it, if it returns true; no other process of Stave does meanwhile.
  private func change(_ path: String, _ body: (inout AuthFile) throws -> Bool) throws {
    do {
      let real = try CredentialSources.resolved(path)
      let directory = real.lastIndex(of: "/").map { String(real[..<$0]) } ?? "."
      if !directory.isEmpty { try HostPath.makeDirectories(directory, mode: 0o700) }
      let lock = try FileLock.acquire(directory.isEmpty ? "/" : directory, .exclusive)
      defer { lock.release() }
      let old = try HostPath.status(real)
      var file = try AuthFile(path, bytes: old == nil ? [] : HostPath.read(real, limit: 16 << 20))
      guard try body(&file) else { return }
      let text = JSON.object(file.members).pretty(indent: 2) + "\n"
      try CredentialSources.replace(real, by: text, owner: old)
    } catch let error as SystemError {
      throw Failure("change credentials in \(path)", error.description)
    }
  }

  /// Replaces the file `path`, whole or not at all. Only the owner of `old` can read it.
  private static func replace(_ path: String, by text: String, owner old: FileStatus?) throws {
    // In a directory that others may write too a name that can be guessed could be theirs already.
    let suffix = Machine.random(8).map { String($0, radix: 16) }.joined()
    let new = try OpenFile("\(path).\(suffix)", .createNew)
    do {
      try new.write(text)
      // As root for another user, who must be able to read it still. Where that is refused it is our own.
      if let old { try? new.setOwner(uid: old.uid, gid: old.gid) }
      try new.sync()
      try HostPath.rename(new.path, to: path)
    } catch {
      try? HostPath.removeFile(new.path)
      throw error
    }
  }

  /// `path`, or what its symbolic links lead to, which need not exist.
  private static func resolved(_ path: String) throws -> String {
    var path = path
    for _ in 0..<40 {
      guard try HostPath.status(path, follow: false)?.kind == .symlink, let target = try HostPath.readLink(path)
      else { return path }
      let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
      path = target.hasPrefix("/") ? target : directory + target
    }
    throw SystemError(.loop, "resolve \(path)")
  }
}

extension String {
  /// The host of a normal key.
  fileprivate var host: String { String(prefix { $0 != "/" }) }
}

extension Credential {
  /// As docker's file has it.
  fileprivate var entry: [String: JSON] {
    switch self {
    case .password(let user, let password):
      ["auth": .string(Base64.encode(Array("\(user):\(password)".utf8)))]
    case .identityToken(let token): ["identitytoken": .string(token)]
    case .registryToken(let token): ["registrytoken": .string(token)]
    }
  }
}
