internal import Core
internal import Engine

/// One call of a command: its flags, arguments, and the world around it.
struct Invocation: Sendable {
  let command: Command
  let values: FlagValues
  let console: Console
  /// The client's variables, `NAME=value`.
  let environment: [String]
  /// The store's directory as the user gave it (`--root`, `STAVE_ROOT`), or nil for the default.
  let root: String?

  /// The engine on the store that the user chose.
  var engine: Engine { Engine(root: root) }

  var arguments: [String] { values.arguments }

  func has(_ name: String) -> Bool { values.has(name) }
  func bool(_ name: String) -> Bool { values.bool(name) }
  func string(_ name: String) -> String? { values.string(name) }
  func list(_ name: String) -> [String] { values.list(name) }
  func int(_ name: String) -> Int? { values.int(name) }

  /// The value of the environment variable `name`, or nil.
  func variable(_ name: String) -> String? {
    environment.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.utf8.count + 1)) }
  }

  /// `KEY=VALUE` values of a list flag, in order; the value is empty where there is no `=`.
  func pairs(_ name: String) throws -> [(name: String, value: String)] {
    try list(name).map { text in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let key = parts.first, !key.isEmpty else {
        throw usage("invalid argument \"\(text)\" for \"--\(name)\" flag: expected KEY=VALUE")
      }
      return (String(key), parts.count > 1 ? String(parts[1]) : "")
    }
  }

  /// Asks `question` on standard error and reads the answer; only `y` and `yes` mean yes.
  func confirms(_ question: String) -> Bool {
    console.error(question + "\nAre you sure you want to continue? [y/N] ")
    let answer = (readLine() ?? "").lowercased()
    return answer == "y" || answer == "yes"
  }

  /// A usage error of this command.
  func usage(_ reason: String) -> Failure {
    Failure("", reason, hint: command.usageHint, exitCode: 125)
  }

  /// Throws for flags that are not there yet; tells the notes of those that change nothing.
  ///
  /// A flag that is switched off (`--squash=false`) asks for nothing.
  func checkSupport() throws {
    for flag in command.flags where values.has(flag.name) {
      switch flag.support {
      case .supported: continue
      case .notYet(let hint):
        if flag.impliedValue != nil, values.string(flag.name) == "false" { continue }
        throw Failure("--\(flag.name)", "not supported yet", hint: hint, exitCode: command.isInterspersed ? 1 : 125)
      case .acceptedWithNote(let note): console.note("--\(flag.name): \(note)")
      }
    }
    for flag in command.flags where !flag.choices.isEmpty {
      for value in values.list(flag.name) where !flag.choices.contains(value) {
        throw usage(
          "invalid argument \"\(value)\" for \"\(flag.spelling)\" flag: expected "
            + flag.choices.joined(separator: ", ") + didYouMean(value, in: flag.choices))
      }
    }
  }
}
