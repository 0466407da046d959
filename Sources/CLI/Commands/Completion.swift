internal import Core

extension Command {
  /// `stave completion`.
  static let completion = Command(
    path: ["completion"], usage: "bash|zsh|fish", summary: "Print a shell's completion script",
    details: "For bash: source <(stave completion bash)", arity: .exactly(1),
    argumentKind: Command.ArgumentKind.none
  ) { call in
    let shell = call.arguments[0]
    guard let script = CompletionScript.script(for: shell, .stave) else {
      throw call.usage(
        "unknown shell: \(shell)" + didYouMean(shell, in: CompletionScript.shells))
    }
    call.console.print(script)
    return 0
  }

  /// `stave help [COMMAND]`.
  static let help = Command(
    path: ["help"], usage: "[COMMAND]", summary: "Help about a command", argumentKind: Command.ArgumentKind.none
  ) { call in
    let tree = CommandTree.stave
    if call.arguments.isEmpty {
      call.console.print(HelpText.top(tree, globalFlags: CommandLineTool.globalFlags))
      return 0
    }
    switch try tree.match(call.arguments) {
    case .group(let name): call.console.print(HelpText.group(name, tree))
    case .command(let command, _):
      if command.isPlaceholder { return try await command.action(call) }
      call.console.print(HelpText.command(command))
    }
    return 0
  }
}
