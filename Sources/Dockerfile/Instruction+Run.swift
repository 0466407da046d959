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

  /// The fields of a `--mount` value, which is one CSV record (RFC 4180): a field in double quotes may hold commas,
  /// `""` in it is one quote. Throws a `ParseError` when it is none.
  static func fields(ofMount mount: String) throws -> [String] {
    func failure(_ reason: String) -> ParseError { ParseError("failed to parse csv mounts: \(reason)") }
    var fields: [String] = []
    var field = String.UnicodeScalarView()
    var rest = Substring(mount).unicodeScalars
    while true {
      if rest.first == "\"" {
        rest = rest.dropFirst()
        while true {
          guard let scalar = rest.popFirst() else { throw failure("extraneous or missing \" in quoted-field") }
          if scalar != "\"" {
            field.append(scalar)
          } else if rest.first == "\"" {
            field.append(scalar)
            rest = rest.dropFirst()
          } else {
            break
          }
        }
        guard rest.isEmpty || rest.first == "," else { throw failure("extraneous or missing \" in quoted-field") }
      } else {
        let plain = rest.prefix { $0 != "," }
        guard !plain.contains("\"") else { throw failure("bare \" in non-quoted-field") }
        field.append(contentsOf: plain)
        rest = rest[plain.endIndex...]
      }
      fields.append(String(field))
      field = String.UnicodeScalarView()
      guard rest.popFirst() != nil else { return fields }
    }
  }
}
