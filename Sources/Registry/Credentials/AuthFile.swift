internal import Core
internal import Linux

/// A file of credentials: containers' `auth.json`, docker's `config.json`, or the older `.dockercfg`, which is nothing
/// but the `auths` of the others.
struct AuthFile {
  /// For messages.
  let path: String
  let isLegacy: Bool
  /// All members of the file, also those that nobody here knows.
  var members: [String: JSON]

  /// Reads the file; nil if there is none. One without content is as good as an empty object.
  init?(_ path: String, isLegacy: Bool = false) throws {
    guard try HostPath.status(path) != nil else { return nil }
    try self.init(path, bytes: HostPath.read(path, limit: 16 << 20), isLegacy: isLegacy)
  }

  /// Reads `bytes`. Throws a `Failure` that names `path`, and never what stands in it, if they are malformed.
  init(_ path: String, bytes: [UInt8], isLegacy: Bool = false) throws {
    self.path = path
    self.isLegacy = isLegacy
    members = [:]
    if bytes.allSatisfy({ $0 == 0x20 || (9...13).contains($0) }) { return }
    let value: JSON
    do {
      value = try JSON.parse(bytes)
    } catch let failure as Failure {
      throw malformed(failure.description)
    }
    guard let object = value.object else { throw malformed("it is no JSON object") }
    members = object
    for (name, value) in members where ["auths", "credHelpers"].contains(name) && !isLegacy {
      guard value.object != nil || value.isNull else { throw malformed("\"\(name)\" is no object") }
    }
    guard isLegacy || credentialStoreIsText else { throw malformed("\"credsStore\" is no string") }
  }

  func malformed(_ reason: String) -> Failure {
    Failure("read credentials in \(path)", reason, hint: "correct the file or move it away")
  }

  private var credentialStoreIsText: Bool { members["credsStore"].map { $0.string != nil || $0.isNull } ?? true }

  /// What the file knows by registry, or by a part of its namespace.
  var entries: [String: JSON] {
    get { isLegacy ? members : members["auths"]?.object ?? [:] }
    set { if isLegacy { members = newValue } else { members["auths"] = .object(newValue) } }
  }

  /// The helper, `ecr-login`, that keeps the credentials of `registry` (in normal form); nil for none.
  /// `isDefault` where it does so for any registry.
  func helper(for registry: String) -> (name: String, isDefault: Bool)? {
    guard !isLegacy else { return nil }
    let own = members["credHelpers"]?.object ?? [:]
    for (key, value) in own.sorted(by: { $0.key < $1.key }) where AuthKey.normal(key) == registry {
      if let name = value.string, !name.isEmpty { return (name, false) }
    }
    guard let name = members["credsStore"]?.string, !name.isEmpty else { return nil }
    return (name, true)
  }

  /// The keys of `entries` that mean `normal`, the very same first.
  func keys(for normal: String) -> [String] {
    entries.keys.filter { AuthKey.normal($0) == normal }.sorted { a, b in
      func rank(_ key: String) -> Int { key == normal ? 0 : key == AuthKey.docker(normal) ? 1 : 2 }
      return (rank(a), a) < (rank(b), b)
    }
  }

  /// The credential in `entries` under the first of `candidates` (in normal form) that has one.
  func credential(_ candidates: [String]) throws -> Credential? {
    for candidate in candidates {
      for key in keys(for: candidate) {
        if let found = try credential(key) { return found }
      }
    }
    return nil
  }

  /// What the entry `key` says; nil for one without credentials, which stands for those in a helper.
  private func credential(_ key: String) throws -> Credential? {
    guard let entry = entries[key], !entry.isNull else { return nil }
    guard entry.object != nil else { throw malformed("the entry \"\(key)\" is no object") }
    func text(_ name: String) throws -> String? {
      guard let value = entry[name], !value.isNull else { return nil }
      guard let text = value.string else { throw malformed("\"\(name)\" of \"\(key)\" is no string") }
      return text.isEmpty ? nil : text
    }
    if let token = try text("registrytoken") { return .registryToken(token) }
    if let token = try text("identitytoken") { return .identityToken(token) }
    guard let auth = try text("auth") else {
      guard let user = try text("username"), let password = try text("password") else { return nil }
      return Credential(user: user, secret: password)
    }
    guard let bytes = Base64.decode(auth), let pair = String(validating: bytes, as: UTF8.self),
      let colon = pair.firstIndex(of: ":")
    else { throw malformed("\"auth\" of \"\(key)\" is not \"user:password\" in base64") }
    var password = pair[pair.index(after: colon)...]
    // Docker does the same: an encoder of old padded with them.
    while password.last == "\0" { password.removeLast() }
    let user = String(pair[..<colon])
    return user.isEmpty && password.isEmpty ? nil : Credential(user: user, secret: String(password))
  }
}
