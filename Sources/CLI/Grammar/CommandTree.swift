internal import Core

/// All commands, and how words find one.
struct CommandTree: Sendable {
  /// In the order of the help text.
  let commands: [Command]
  /// First words that only group others, with a summary: `image`.
  let groups: [(name: String, summary: String)]

  /// What a command line's words mean.
  enum Match {
    /// A command and the words that follow it.
    case command(Command, rest: [String])
    /// A group alone, or with `--help`.
    case group(String)
  }

  /// Finds the command that `words` name; throws a usage `Failure` for an unknown one. `words` is not empty.
  func match(_ words: [String]) throws -> Match {
    let first = words.first ?? ""
    if let group = groups.first(where: { $0.name == first }) {
      guard words.count > 1, words[1] != "--help", words[1] != "-h" else { return .group(group.name) }
      let second = words[1]
      if let command = commands.first(where: { $0.path.first == first && $0.path.count == 2 && names($0, second) }) {
        return .command(command, rest: Array(words.dropFirst(2)))
      }
      throw unknown(second, of: "stave \(first)", among: commands.filter { $0.path.first == first })
    }
    if let command = commands.first(where: { $0.path.count == 1 && names($0, first) }) {
      return .command(command, rest: Array(words.dropFirst()))
    }
    if first.hasPrefix("-") {
      throw Failure("", "unknown flag: \(first)", hint: "See 'stave --help'.", exitCode: 125)
    }
    throw unknown(first, of: "stave", among: commands.filter { $0.path.count == 1 })
  }

  private func names(_ command: Command, _ word: String) -> Bool {
    command.path.last == word || command.aliases.contains(word)
  }

  private func unknown(_ word: String, of parent: String, among candidates: [Command]) -> Failure {
    var names = candidates.filter { !$0.isHidden || $0.isPlaceholder }.compactMap(\.path.last)
    if parent == "stave" { names += groups.map(\.name) }
    return Failure(
      "", "unknown command: \(parent) \(word)" + didYouMean(word, in: names), hint: "See '\(parent) --help'.",
      exitCode: 125)
  }
}
