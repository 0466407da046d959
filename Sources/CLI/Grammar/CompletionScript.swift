/// Completion scripts for shells, made from the table of commands.
enum CompletionScript {
  /// The shells that have one.
  static let shells = ["bash", "zsh", "fish"]

  /// The script for `shell`, or nil for a shell that is not in `shells`.
  static func script(for shell: String, _ tree: CommandTree) -> String? {
    switch shell {
    case "bash": bash(tree)
    case "zsh": "#compdef stave\nautoload -U +X bashcompinit && bashcompinit\n" + bash(tree)
    case "fish": fish(tree)
    default: nil
    }
  }

  private static let imageNames = "stave images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null"
  private static let containerNames = "stave ps -a --format '{{.Names}}' 2>/dev/null"

  private static func bash(_ tree: CommandTree) -> String {
    var out = """
      # bash completion for stave: source it, or put it into the directory of completions
      _stave() {
        local cur prev path i word
        COMPREPLY=()
        cur=${COMP_WORDS[COMP_CWORD]}
        prev=${COMP_WORDS[COMP_CWORD-1]}
        path=
        for ((i = 1; i < COMP_CWORD; i++)); do
          word=${COMP_WORDS[i]}
          case $word in
            -*) continue ;;
          esac
          case "$path $word" in

      """
    let names = visible(tree).map { " " + $0.name } + tree.groups.map { " " + $0.name }
    out += "      \(names.sorted().map { "\"\($0)\"" }.joined(separator: "|"))) path=\"$path $word\" ;;\n"
    out += "      *) break ;;\n    esac\n  done\n  case \"$path\" in\n"
    out += bashCase("", words: top(tree), arguments: nil)
    for group in tree.groups {
      let members = visible(tree).filter { $0.path.first == group.name && $0.path.count == 2 }
      out += bashCase(" " + group.name, words: members.compactMap(\.path.last), arguments: nil)
    }
    for command in visible(tree) {
      out += "    \" \(command.name)\")\n"
      let choices = command.flags.filter { !$0.choices.isEmpty }
      if !choices.isEmpty {
        out += "      case $prev in\n"
        for flag in choices {
          let words = flag.choices.joined(separator: " ")
          let spelling = flag.short.map { "-\($0)|--\(flag.name)" } ?? "--\(flag.name)"
          out += "        \(spelling)) COMPREPLY=($(compgen -W \"\(words)\" -- \"$cur\")); return ;;\n"
        }
        out += "      esac\n"
      }
      out += "      if [[ $cur == -* ]]; then\n"
      out += "        COMPREPLY=($(compgen -W \"\(flagWords(command))\" -- \"$cur\"))\n"
      out += "      else\n        \(bashArguments(command.argumentKind))\n      fi ;;\n"
    }
    return out + "  esac\n}\ncomplete -F _stave stave\n"
  }

  private static func bashCase(_ path: String, words: [String], arguments: Command.ArgumentKind?) -> String {
    "    \"\(path)\") COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$cur\")) ;;\n"
  }

  private static func bashArguments(_ kind: Command.ArgumentKind?) -> String {
    switch kind {
    case .images: "COMPREPLY=($(compgen -W \"$(\(imageNames))\" -- \"$cur\"))"
    case .containers: "COMPREPLY=($(compgen -W \"$(\(containerNames))\" -- \"$cur\"))"
    case .some(.none): ":"
    case .files, nil: "COMPREPLY=($(compgen -f -- \"$cur\"))"
    }
  }

  private static func fish(_ tree: CommandTree) -> String {
    var out = "# fish completion for stave\ncomplete -c stave -f\n"
    for command in visible(tree) where command.path.count == 1 {
      out += "complete -c stave -n __fish_use_subcommand -a \(command.name) -d \(quoted(command.summary))\n"
    }
    for group in tree.groups {
      out += "complete -c stave -n __fish_use_subcommand -a \(group.name) -d \(quoted(group.summary))\n"
    }
    for command in visible(tree) {
      var condition = "__fish_seen_subcommand_from \(command.path[0])"
      if command.path.count == 2 {
        let group = condition
        out += "complete -c stave -n '\(group)' -a \(command.path[1]) -d \(quoted(command.summary))\n"
        condition += "; and __fish_seen_subcommand_from \(command.path[1])"
      }
      for flag in command.flags where !flag.isHidden {
        out += "complete -c stave -n '\(condition)' -l \(flag.name)"
        if let short = flag.short { out += " -s \(short)" }
        if flag.impliedValue == nil { out += " -r" }
        if !flag.choices.isEmpty { out += " -a \(quoted(flag.choices.joined(separator: " ")))" }
        out += " -d \(quoted(flag.help))\n"
      }
      switch command.argumentKind {
      case .images: out += "complete -c stave -n '\(condition)' -a \(quoted("(\(imageNames))"))\n"
      case .containers: out += "complete -c stave -n '\(condition)' -a \(quoted("(\(containerNames))"))\n"
      case .files: out += "complete -c stave -n '\(condition)' -F\n"
      case .some(.none), nil: break
      }
    }
    return out
  }

  private static func visible(_ tree: CommandTree) -> [Command] { tree.commands.filter { !$0.isHidden } }

  private static func top(_ tree: CommandTree) -> [String] {
    visible(tree).filter { $0.path.count == 1 }.map(\.name) + tree.groups.map(\.name)
  }

  private static func flagWords(_ command: Command) -> String {
    (command.flags.filter { !$0.isHidden }.map { "--" + $0.name } + ["--help"]).sorted().joined(separator: " ")
  }

  private static func quoted(_ text: String) -> String {
    var out = "'"
    for character in text {
      if character == "'" || character == "\\" { out += "\\" }
      out.append(character)
    }
    return out + "'"
  }
}
