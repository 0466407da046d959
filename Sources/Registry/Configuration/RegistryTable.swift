/// One `[[registry]]` of registries.conf: what holds for all images whose names begin with `prefix`.
struct RegistryTable: Sendable, Equatable {
  /// Another place that is asked first.
  struct Mirror: Sendable, Equatable {
    /// For which references (`pull-from-mirror`).
    enum Use: String, Sendable { case all, digestOnly = "digest-only", tagOnly = "tag-only" }

    var location: String
    var isInsecure = false
    var use = Use.all
  }

  /// `docker.io`, `quay.io/user`, `*.example.com`.
  var prefix: String
  /// What stands in place of the prefix when the registry is asked; empty for the name as it is.
  var location: String
  var isInsecure = false
  var isBlocked = false
  var mirrors: [Mirror] = []
  /// The file that defines it.
  var file: String

  /// How many characters of `name`, a canonical reference, the prefix takes; nil if it does not hold for it.
  func match(_ name: String) -> Int? {
    if prefix.hasPrefix("*.") {
      let host = name.prefix { $0 != "/" && $0 != ":" }
      return host.hasSuffix(prefix.dropFirst()) ? host.count : nil
    }
    guard name.hasPrefix(prefix) else { return nil }
    let rest = name.dropFirst(prefix.count)
    return rest.isEmpty || "/:@".contains(rest[rest.startIndex]) ? prefix.count : nil
  }
}
