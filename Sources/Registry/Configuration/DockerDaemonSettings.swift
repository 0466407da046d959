internal import Core
internal import HTTP

/// What docker's `daemon.json` says of registries.
struct DockerDaemonSettings: Sendable {
  /// A mirror of Docker Hub, which alone has any.
  struct Mirror: Sendable, Equatable {
    var isPlain: Bool
    var host: String
  }

  var mirrors: [Mirror] = []
  var insecureHosts: Set<String> = []
  var insecureRanges: [IPNetwork] = []

  init() {}

  /// Reads the file's bytes; throws a `Failure` that names `path`.
  init(_ bytes: [UInt8], path: String) throws {
    if bytes.allSatisfy({ $0 == 0x20 || (9...13).contains($0) }) { return }
    func failure(_ reason: String) -> Failure { Failure("read \(path)", reason) }
    let root: JSON
    do {
      root = try JSON.parse(bytes)
    } catch let error as Failure {
      throw failure(error.description)
    }
    guard root.object != nil else { throw failure("it is no JSON object") }
    func words(_ key: String) throws -> [String] {
      guard let value = root[key], !value.isNull else { return [] }
      guard let list = value.array, list.allSatisfy({ $0.string != nil }) else {
        throw failure("\"\(key)\" must be an array of strings")
      }
      return list.compactMap(\.string)
    }
    mirrors = try words("registry-mirrors").map { url in
      guard let mirror = Mirror(url) else {
        throw failure("\"registry-mirrors\": \"\(url)\" must be http:// or https:// and a host, without a path")
      }
      return mirror
    }
    for entry in try words("insecure-registries") {
      if let range = IPNetwork(entry) {
        insecureRanges.append(range)
      } else {
        let host =
          ["https://", "http://"].first(where: entry.hasPrefix).map { entry.dropFirst($0.count) } ?? entry[...]
        guard RegistryName(String(host)).isValid else {
          throw failure("\"insecure-registries\": \"\(entry)\" is neither host[:port] nor a range of addresses")
        }
        insecureHosts.insert(host.lowercased())
      }
    }
  }

  /// Whether docker would speak with `host` without TLS. A name is looked up, by `lookUp`, only where there are ranges.
  func isInsecure(_ host: RegistryName, _ lookUp: (String) -> [String]) -> Bool {
    if insecureHosts.contains(host.text.lowercased()) { return true }
    guard !insecureRanges.isEmpty else { return false }
    let addresses = IPAddress(host.name).map { [$0] } ?? lookUp(host.name).compactMap(IPAddress.init)
    return addresses.contains { address in insecureRanges.contains { $0.contains(address) } }
  }
}

extension DockerDaemonSettings.Mirror {
  /// Reads `https://mirror.example:5000/`; nil for another scheme, or with more than a host.
  init?(_ url: String) {
    let schemes = [("https://", false), ("http://", true)]
    guard let (scheme, isPlain) = schemes.first(where: { url.lowercased().hasPrefix($0.0) }) else { return nil }
    var host = url.dropFirst(scheme.count)
    while host.hasSuffix("/") { host = host.dropLast() }
    guard RegistryName(String(host)).isValid else { return nil }
    self.init(isPlain: isPlain, host: String(host))
  }
}
