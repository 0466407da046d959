internal import Core
internal import Engine
internal import Linux

/// Runs one command line and returns the process's exit code: 0, 1 for failures, 125 for usage errors, 130 after
/// Ctrl-C, or the container's own.
///
/// `arguments` come without the program's name, `environment` holds `NAME=value`. Results go to standard output,
/// everything else to standard error.
public func runCLI(arguments: [String], environment: [String]) async -> Int32 {
  let console = Console(environment: environment)
  return await CommandLineTool(console: console, environment: environment).run(arguments)
}

/// Whether a command line may need the store, and what of the machine the store needs. A guess on the safe side: what
/// only prints is told by its first words.
public func touchesStore(_ arguments: [String]) -> Bool {
  var words = arguments[...]
  while let word = words.first, word.hasPrefix("-") {
    if ["--help", "-h", "--version", "-v"].contains(word) { return false }
    words = words.dropFirst(word == "--root" ? 2 : 1)
  }
  // A group alone and an unknown command only print.
  guard !words.isEmpty, case .command(let command, let rest)? = try? CommandTree.stave.match(Array(words)) else {
    return false
  }
  if ["version", "help", "completion"].contains(command.path.last) { return false }
  // Elsewhere the word may be a container's own, or a flag's value.
  return rest.first != "--help"
}

/// The door: finds the command, parses its flags, tells its failure once.
struct CommandLineTool: Sendable {
  let console: Console
  let environment: [String]

  /// Flags before the command. Those of Docker's client that name a daemon have no meaning here.
  static let globalFlags: [Flag] = [
    Flag("root", .string, "Keep images and containers in this directory (also STAVE_ROOT)", placeholder: "directory"),
    Flag("help", .bool, "Print usage"),
    Flag("version", "v", .bool, "Print the version and quit"),
    .note("debug", "D", .bool, "Accepted for scripts", "there is no daemon to debug"),
    .later("config", .string), .later("context", "c", .string), .later("host", "H", .list),
    .later("log-level", "l", .string), .later("tls", .bool), .later("tlsverify", .bool),
  ]

  func run(_ arguments: [String]) async -> Int32 {
    do {
      return try await dispatch(arguments)
    } catch let failure as StepFailure {
      console.error(FailureReport(hasColor: console.hasColor).text(failure))
      return 1
    } catch let failure as Failure {
      console.error(FailureReport(hasColor: console.hasColor).text(failure))
      return failure.exitCode
    } catch let error as SystemError {
      console.error(FailureReport(hasColor: console.hasColor).text(error.failure))
      return 1
    } catch is CancellationError {
      console.error("stave: interrupted\n")
      return 130
    } catch {
      console.error(FailureReport(hasColor: console.hasColor).text(Failure("", "\(error)")))
      return 1
    }
  }

  private func dispatch(_ arguments: [String]) async throws -> Int32 {
    let tree = CommandTree.stave
    let globals: FlagValues
    do {
      globals = try FlagParser(flags: CommandLineTool.globalFlags, isInterspersed: false).parse(arguments)
    } catch var failure as Failure {
      failure.hint = failure.hint ?? "See 'stave --help'."
      throw failure
    }
    for flag in CommandLineTool.globalFlags where globals.has(flag.name) {
      if flag.isLater {
        throw Failure("--\(flag.name)", "not supported yet", hint: "there is no daemon to talk to", exitCode: 125)
      }
    }
    if globals.bool("version") {
      console.print(versionLine)
      return 0
    }
    if globals.bool("help") || globals.arguments.isEmpty {
      console.print(HelpText.top(tree, globalFlags: CommandLineTool.globalFlags))
      return 0
    }
    switch try tree.match(globals.arguments) {
    case .group(let name):
      console.print(HelpText.group(name, tree))
      return 0
    case .command(let command, let rest):
      return try await call(command, rest, root: globals.string("root"))
    }
  }

  private func call(_ command: Command, _ words: [String], root: String?) async throws -> Int32 {
    var values = FlagValues()
    if !command.isPlaceholder {
      let help = Flag("help", command.flags.contains { $0.short == "h" } ? nil : "h", .bool, "Print usage")
      do {
        values = try FlagParser(flags: command.flags + [help], isInterspersed: command.isInterspersed).parse(words)
      } catch var failure as Failure {
        failure.hint = failure.hint ?? command.usageHint
        throw failure
      }
      if values.bool("help") {
        console.print(HelpText.command(command))
        return 0
      }
    }
    let invocation = Invocation(
      command: command, values: values, console: console, environment: environment, root: root)
    if !command.isPlaceholder {
      try command.check(argumentCount: values.arguments.count)
      try invocation.checkSupport()
    }
    return try await command.action(invocation)
  }
}
