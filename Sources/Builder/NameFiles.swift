public import Core
internal import Linux

/// The files by which a container knows names: /etc/hosts, /etc/resolv.conf and /etc/hostname.
public enum NameFiles {
  /// Writes them in the directory `folder`. `addHosts` are `name:address`; without a network there is no resolver.
  /// `copiesHosts` takes over the host's own /etc/hosts, as Docker does for containers in the host's network.
  public static func write(
    in folder: String, hostname: String, addHosts: [String], hasNetwork: Bool, copiesHosts: Bool = false
  ) throws -> ProcessSpec.NameFiles {
    let hosts = "\(folder)/hosts"
    let resolver = "\(folder)/resolv.conf"
    let name = "\(folder)/hostname"
    let base = copiesHosts ? hostFile("/etc/hosts") : nil
    try replace(hosts, try hostsText(hostname: hostname, addHosts: addHosts, base: base))
    try replace(resolver, hasNetwork ? hostFile("/etc/resolv.conf") ?? "" : "")
    try replace(name, hostname + "\n")
    return ProcessSpec.NameFiles(hosts: hosts, resolvConf: resolver, hostname: name)
  }

  /// The lines of /etc/hosts: those of `base`, or Docker's own for nil, then `addHosts`.
  static func hostsText(hostname: String, addHosts: [String], base: String? = nil) throws -> String {
    var lines =
      base?.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) ?? [
        "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters", "127.0.1.1\t\(hostname)",
      ]
    if lines.last == "" { lines.removeLast() }
    for entry in addHosts {
      let separator = entry.firstIndex(of: "=") ?? entry.firstIndex(of: ":")
      guard let separator, separator > entry.startIndex else {
        throw Failure("add host \"\(entry)\"", "expected NAME:ADDRESS")
      }
      let address = entry[entry.index(after: separator)...]
      lines.append("\(address == "host-gateway" ? "127.0.0.1" : address)\t\(entry[..<separator])")
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// A file of the host, whose network the process shares: loopback resolvers work too. Nil if it can't be read.
  private static func hostFile(_ path: String) -> String? {
    (try? HostPath.read(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }

  private static func replace(_ path: String, _ text: String) throws {
    let file = try OpenFile(path, .create)
    try file.write(text)
    try file.setMode(0o644)
  }
}
