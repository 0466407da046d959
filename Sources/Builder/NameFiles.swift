public import Core
internal import Linux

/// The files by which a container knows names: /etc/hosts, /etc/resolv.conf and /etc/hostname.
public enum NameFiles {
  /// Writes them in the directory `folder`. `addHosts` are `name:address`; without a network there is no resolver.
  public static func write(in folder: String, hostname: String, addHosts: [String], hasNetwork: Bool) throws
    -> ProcessSpec.NameFiles
  {
    let hosts = "\(folder)/hosts"
    let resolver = "\(folder)/resolv.conf"
    let name = "\(folder)/hostname"
    try replace(hosts, try hostsText(hostname: hostname, addHosts: addHosts))
    try replace(resolver, hasNetwork ? hostResolver() : "")
    try replace(name, hostname + "\n")
    return ProcessSpec.NameFiles(hosts: hosts, resolvConf: resolver, hostname: name)
  }

  /// The lines of /etc/hosts, as Docker writes them.
  static func hostsText(hostname: String, addHosts: [String]) throws -> String {
    var lines = [
      "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::\tip6-localnet",
      "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters", "127.0.1.1\t\(hostname)",
    ]
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

  /// The host's resolver file: the process shares the host's network, so loopback servers work too.
  private static func hostResolver() -> String {
    let limit = 1 << 20
    guard let bytes = try? HostPath.read("/etc/resolv.conf", limit: limit) else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func replace(_ path: String, _ text: String) throws {
    let file = try OpenFile(path, .create)
    try file.write(text)
    try file.setMode(0o644)
  }
}
