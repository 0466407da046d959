/// Which proxy a request goes through, by the variables of the environment that docker and curl know.
///
/// `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case first, then in upper case. This machine's own
/// addresses are never asked through a proxy.
public struct ProxySettings: Sendable {
  private var byScheme: [String: String] = [:]
  private var all: String?
  private var exceptions: [Exception] = []
  private var exceptsAll = false

  private enum Exception {
    case network(IPNetwork)
    case address(IPAddress, port: Int?)
    /// The name itself, unless only names below it are meant, and those below it.
    case domain(String, onlyBelow: Bool, port: Int?)
  }

  /// Reads the variables through `environment`.
  public init(environment: (String) -> String?) {
    func value(_ name: String) -> String? {
      for name in [name, name.uppercased()] {
        if let value = environment(name), !value.isEmpty { return value }
      }
      return nil
    }
    // HTTP_PROXY within a CGI program is the client's header field "Proxy".
    let isCGI = environment("REQUEST_METHOD") != nil
    byScheme["http"] = isCGI ? environment("http_proxy") : value("http_proxy")
    byScheme["https"] = value("https_proxy")
    all = value("all_proxy")
    for word in (value("no_proxy") ?? "").split(whereSeparator: { ", \t".contains($0) }).prefix(4096) {
      add(word.lowercased())
    }
  }

  private mutating func add(_ word: String) {
    if word == "*" { return exceptsAll = true }
    if let network = IPNetwork(word) { return exceptions.append(.network(network)) }
    if let address = IPAddress(word) { return exceptions.append(.address(address, port: nil)) }
    var name = Substring(word)
    var port: Int?
    if let colon = word.lastIndex(of: ":"), let number = Int(word[word.index(after: colon)...]) {
      name = word[..<colon]
      port = number
    }
    if let address = IPAddress(String(name)) { return exceptions.append(.address(address, port: port)) }
    if name.hasPrefix("*.") { name = name.dropFirst() }
    let onlyBelow = name.hasPrefix(".")
    if onlyBelow { name = name.dropFirst() }
    if name.hasSuffix(".") { name = name.dropLast() }
    if !name.isEmpty { exceptions.append(.domain(String(name), onlyBelow: onlyBelow, port: port)) }
  }

  /// The proxy's URL for `url`, or nil: ask the server itself.
  public func proxy(for url: HTTPURL) -> String? {
    guard let proxy = byScheme[url.scheme] ?? all, !exceptsAll else { return nil }
    let name = url.host.hasSuffix(".") ? String(url.host.dropLast()) : url.host
    let address = IPAddress(url.host)
    if name == "localhost" || address?.isLoopback == true { return nil }
    let isException = exceptions.contains { exception in
      switch exception {
      case .network(let network): return address.map(network.contains) ?? false
      case .address(let other, let port): return address == other && (port ?? url.port) == url.port
      case .domain(let domain, let onlyBelow, let port):
        guard (port ?? url.port) == url.port else { return false }
        return name.hasSuffix("." + domain) || (!onlyBelow && name == domain)
      }
    }
    return isException ? nil : proxy
  }
}
