/// The help of a command, a group and of Stave, all from the table of commands.
enum HelpText {
  /// What RUN and `run` do about networks until there are bridges; part of the help of both.
  static let networkNote =
    "Until bridge networks exist, containers and RUN steps without --network use the host's network."

  /// `stave run --help`.
  static func command(_ command: Command) -> String {
    var out = "Usage:  stave \(command.name)\(command.usage.isEmpty ? "" : " " + command.usage)\n\n\(command.summary)\n"
    if !command.details.isEmpty { out += "\n\(command.details)\n" }
    let spellings = ([command.name] + command.aliases.map { (command.path.dropLast() + [$0]).joined(separator: " ") })
    if spellings.count > 1 { out += "\nAliases:\n  " + spellings.map { "stave \($0)" }.joined(separator: ", ") + "\n" }
    let flags = command.flags.filter { !$0.isHidden }
    let ready = flags.filter { !$0.isLater }
    let missing = flags.filter(\.isLater)
    if !ready.isEmpty { out += "\nOptions:\n" + lines(of: ready) }
    if !missing.isEmpty {
      out += "\nNot supported yet:\n" + wrapped(missing.map { "--\($0.name)" }, indent: 2, width: 80)
    }
    return out
  }

  /// `stave image --help`.
  static func group(_ name: String, _ tree: CommandTree) -> String {
    let summary = tree.groups.first { $0.name == name }?.summary ?? ""
    let members = tree.commands.filter { $0.path.first == name && !$0.isHidden }
    var out = "Usage:  stave \(name) COMMAND\n\n\(summary)\n\nCommands:\n"
    out += columns(members.map { ($0.path.last ?? "", $0.summary) })
    let missing = tree.commands.filter { $0.path.first == name && $0.path.count == 2 && $0.isPlaceholder }
    if !missing.isEmpty {
      out += "\nNot supported yet:\n" + wrapped(missing.compactMap(\.path.last), indent: 2, width: 80)
    }
    return out + "\nRun 'stave \(name) COMMAND --help' for more information on a command.\n"
  }

  /// `stave --help`.
  static func top(_ tree: CommandTree, globalFlags: [Flag]) -> String {
    let commands = tree.commands.filter { $0.path.count == 1 && !$0.isHidden }
    var out = """
      Usage:  stave [OPTIONS] COMMAND

      Builds, moves and runs container images: one binary, no daemon.

      Commands:

      """
    out += columns(commands.map { ($0.path.last ?? "", $0.summary) })
    out += "\nManagement commands:\n" + columns(tree.groups.map { ($0.name, $0.summary) })
    let missing = tree.commands.filter { $0.isPlaceholder && $0.path.count == 1 }.map(\.name)
    if !missing.isEmpty { out += "\nNot supported yet:\n" + wrapped(missing, indent: 2, width: 80) }
    out += "\nGlobal options:\n" + lines(of: globalFlags.filter { !$0.isLater })
    out += "\n" + networkNote + "\n"
    return out + "\nRun 'stave COMMAND --help' for more information on a command.\n"
  }

  private static func lines(of flags: [Flag]) -> String {
    columns(
      flags.sorted { $0.name < $1.name }.map { flag in
        let dashes = flag.short.map { "-\($0), " } ?? "    "
        let value: String =
          switch flag.kind {
          case .optional: "[=\(flag.placeholder)]"
          default: flag.placeholder.isEmpty ? "" : " \(flag.placeholder)"
          }
        var help = flag.help
        if !flag.choices.isEmpty { help += " (\(flag.choices.joined(separator: ", ")))" }
        if case .acceptedWithNote(let note) = flag.support { help += " (no effect: \(note))" }
        return ("\(dashes)--\(flag.name)\(value)", help)
      })
  }

  private static func columns(_ rows: [(String, String)]) -> String {
    let width = min(34, rows.map(\.0.count).max() ?? 0)
    return rows.map { name, help in
      "  " + name + String(repeating: " ", count: max(0, width - name.count)) + "  " + help + "\n"
    }.joined()
  }

  private static func wrapped(_ words: [String], indent: Int, width: Int) -> String {
    let margin = String(repeating: " ", count: indent)
    var out = ""
    var line = margin
    for (i, word) in words.enumerated() {
      let piece = word + (i + 1 < words.count ? "," : "")
      if line.count > indent, line.count + 1 + piece.count > width {
        out += line + "\n"
        line = margin
      }
      line += (line.count > indent ? " " : "") + piece
    }
    return out + line + "\n"
  }
}
