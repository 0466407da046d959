internal import Core

extension Instruction.Run {
  init(_ node: SyntaxNode) throws {
    let flags = try BuilderFlags(
      node.flags, known: ["mount": .strings, "network": .string, "security": .string, "device": .strings])
    let network = flags.strings("network").last
    if let network, !["default", "none", "host"].contains(network) {
      throw ParseError(
        "invalid network mode \(network.goQuoted)" + didYouMean(network, in: ["default", "none", "host"]))
    }
    let security = flags.strings("security").last
    if let security, security != "sandbox", security != "insecure" {
      throw ParseError(
        "security \(security.goQuoted) is not valid" + didYouMean(security, in: ["sandbox", "insecure"]))
    }
    let mounts = flags.strings("mount")
    for mount in mounts { try Instruction.Run.check(mount: mount) }
    self.init(
      command: node.commandLine, mounts: mounts, network: network, security: security,
      devices: flags.strings("device"))
  }

  private static let mountKeys = [
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "mode", "uid", "gid", "src", "dst",
    "destination", "ro", "rw", "readwrite", "size", "env",
  ]

  /// Throws for what is wrong whatever the variables hold: an unknown key, type or sharing mode, a variable in `from`.
  private static func check(mount: String) throws {
    for field in try fields(ofMount: mount) {
      let cut = field.cut("=")
      let key = (cut?.before ?? field).lowercased()
      guard mountKeys.contains(key) else {
        throw ParseError("unexpected key '\(key)' in '\(field)'" + didYouMean(key, in: mountKeys))
      }
      guard let value = cut?.after else {
        guard ["readonly", "ro", "readwrite", "rw", "required"].contains(key) else {
          throw ParseError("invalid field '\(field)' must be a key=value pair")
        }
        continue
      }
      if value.unicodeScalars.contains("$") {
        guard key != "from" else {
          throw ParseError("'from' doesn't support variable expansion, define alias stage instead")
        }
      } else if key == "type" {
        try check(value, of: "unsupported mount type", in: ["bind", "cache", "tmpfs", "secret", "ssh"])
      } else if key == "sharing" {
        try check(value, of: "unsupported sharing value", in: ["shared", "private", "locked"])
      }
    }
  }

  private static func check(_ value: String, of reason: String, in known: [String]) throws {
    guard known.contains(value.lowercased()) else {
      throw ParseError("\(reason) \(value.goQuoted)" + didYouMean(value, in: known))
    }
  }

  private static func fields(ofMount mount: String) throws -> [String] {
    do {
      return try CSVRecord.fields(mount)
    } catch {
      throw ParseError("failed to parse csv mounts: \(error.reason)")
    }
  }
}
