internal import Core

/// One command: what it is called, what it takes, what it does.
struct Command: Sendable {
  /// How many arguments a command takes.
  enum Arity: Sendable, Equatable {
    case any
    case none
    case exactly(Int)
    case atLeast(Int)
    case atMost(Int)
  }

  /// The words after `stave`: `["image", "ls"]`.
  var path: [String]
  /// Other last words: `["list"]`.
  var aliases: [String] = []
  /// What follows the path in the usage line: `[OPTIONS] IMAGE [COMMAND] [ARG...]`.
  var usage: String
  /// One line, a sentence without a period.
  var summary: String
  /// Paragraphs for the help text after the usage line; may be empty.
  var details: String = ""
  var flags: [Flag] = []
  var arity: Arity = .any
  /// False where flags end at the first argument.
  var isInterspersed = true
  var isHidden = false
  /// What completes its arguments: `images`, `containers`, or nil for file names.
  var argumentKind: ArgumentKind? = nil
  /// Does it; returns the exit code.
  var action: @Sendable (Invocation) async throws -> Int32

  /// What a command's arguments name, for completion.
  enum ArgumentKind: String, Sendable { case images, containers, files, none }

  /// `image ls`.
  var name: String { path.joined(separator: " ") }

  /// A command that Docker knows and Stave does not have yet. Whatever follows it is not looked at.
  static func notYet(_ name: String, _ summary: String, exitCode: Int32 = 1) -> Command {
    Command(path: name.split(separator: " ").map(String.init), usage: "", summary: summary, isHidden: true) { _ in
      var failure = Failure.notSupportedYet(name)
      failure.exitCode = exitCode
      throw failure
    }
  }

  /// Whether its flags are parsed: a command that isn't there yet takes none of its words seriously.
  var isPlaceholder: Bool { usage.isEmpty && isHidden && flags.isEmpty }

  /// Throws Docker's words if `count` arguments are not what it takes.
  func check(argumentCount count: Int) throws {
    let wanted: String? =
      switch arity {
      case .any: nil
      case .none: count == 0 ? nil : "accepts no arguments"
      case .exactly(let n): count == n ? nil : "requires exactly \(Command.plural(n))"
      case .atLeast(let n): count >= n ? nil : "requires at least \(Command.plural(n))"
      case .atMost(let n): count <= n ? nil : "requires at most \(Command.plural(n))"
      }
    if let wanted {
      throw Failure("", "\"stave \(name)\" \(wanted)", hint: usageHint, exitCode: 125)
    }
  }

  /// `See 'stave run --help'.`
  var usageHint: String { "See 'stave \(name) --help'." }

  private static func plural(_ n: Int) -> String { n == 1 ? "1 argument" : "\(n) arguments" }
}
