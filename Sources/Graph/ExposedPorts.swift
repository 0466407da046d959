internal import Core

/// The `80/tcp` of one EXPOSE word, `[[ip:]host:]container[/proto]`, where container may be a range.
///
/// What stands before the container's port is checked and dropped. Messages are BuildKit's (`convert_expose.go`).
func exposedPorts(_ word: String) throws -> [String] {
  let parts = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
  let container = parts[parts.count - 1]
  let host = parts.count > 1 ? parts[parts.count - 2] : ""
  var address = parts.count > 2 ? parts[..<(parts.count - 2)].joined(separator: ":") : ""
  let halves = container.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
  guard !halves[0].isEmpty else { throw Failure("", "no port specified: \(word)<empty>") }
  let proto = halves.count > 1 && !halves[1].isEmpty ? halves[1].lowercased() : "tcp"
  guard ["tcp", "udp", "sctp"].contains(proto) else {
    throw Failure("", "invalid proto: \(proto)" + didYouMean(proto, in: ["tcp", "udp", "sctp"]))
  }
  if address.hasPrefix("["), address.hasSuffix("]") { address = String(address.dropFirst().dropLast()) }
  guard address.isEmpty || looksLikeAddress(address) else { throw Failure("", "invalid IP address: \(address)") }
  guard let ports = portRange(halves[0]) else { throw Failure("", "invalid containerPort: \(halves[0])") }
  if !host.isEmpty {
    guard let hostPorts = portRange(host) else { throw Failure("", "invalid hostPort: \(host)") }
    guard ports.count == 1 || hostPorts.count == ports.count else {
      throw Failure("", "invalid ranges specified for container and host Ports: \(halves[0]) and \(host)")
    }
  }
  return ports.map { "\($0)/\(proto)" }
}

private func portRange(_ text: String) -> ClosedRange<UInt16>? {
  func port(_ text: Substring) -> UInt16? {
    text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } ? UInt16(text) : nil
  }
  let ends = text.split(separator: "-", omittingEmptySubsequences: false)
  guard ends.count <= 2, let first = port(ends[0]), let last = port(ends[ends.count - 1]), first <= last
  else { return nil }
  return first...last
}

/// Whether `text` has the form of an IPv4 or IPv6 address.
private func looksLikeAddress(_ text: String) -> Bool {
  if text.contains(":") {
    let groups = text.split(separator: ":", omittingEmptySubsequences: false)
    return (3...9).contains(groups.count)
      && groups.allSatisfy {
        $0.contains(".") ? looksLikeAddress(String($0)) : $0.count <= 4 && $0.allSatisfy(\.isHexDigit)
      }
  }
  let numbers = text.split(separator: ".", omittingEmptySubsequences: false)
  return numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil && !$0.hasPrefix("+") }
}
