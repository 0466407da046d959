/// The names by which credential files and helpers call registries.
enum AuthKey {
  /// How docker calls Docker Hub.
  static let hub = "https://index.docker.io/v1/"

  /// The form by which keys are compared: `docker.io` for all names of Docker Hub, `host:port` for a URL, and a
  /// namespaced key, `quay.io/user`, as it is.
  static func normal(_ key: String) -> String {
    var rest = Substring(key)
    var isURL = false
    for scheme in ["https://", "http://"] where rest.lowercased().hasPrefix(scheme) {
      rest = rest.dropFirst(scheme.count)
      isURL = true
    }
    while rest.hasSuffix("/") { rest = rest.dropLast() }
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let host = registry(String(rest[..<slash]))
    let path = rest[slash...]
    return isURL || path == "/v1" || path == "/v2" ? host : host + path
  }

  /// `host` in lower case, and Docker Hub's always as `docker.io`.
  static func registry(_ host: String) -> String {
    let host = host.lowercased()
    return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
  }

  /// What docker's own file and its helpers call the registry.
  static func docker(_ normal: String) -> String { normal == "docker.io" ? hub : normal }

  /// The keys, in normal form, that hold for `repository`, most specific first: `host/ns/repo`, `host/ns`, `host`.
  static func candidates(_ registry: String, _ repository: String) -> [String] {
    let host = normal(registry)
    let parts = repository.split(separator: "/")
    return (0...parts.count).reversed().map { ([host] + parts[..<$0].map(String.init)).joined(separator: "/") }
  }
}
