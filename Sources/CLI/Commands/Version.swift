internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave version`.
  static let version = Command(
    path: ["version"], usage: "[OPTIONS]", summary: "Show the version",
    flags: [Flag("format", "f", .string, formatHelp)], arity: .none
  ) { call in
    let version = Engine.versionInfo()
    switch call.string("format") {
    case nil, "": call.console.print(versionText(version))
    case "json": call.console.line(versionValue(version).text)
    case let text?: call.console.line(try Template(text).render(versionValue(version)))
    }
    return 0
  }
}

/// Answers the questions for the version, which scripts ask more often than anything else, before a parser or a task
/// is made; returns the exit code, or nil for all other command lines.
public func answerAtOnce(_ arguments: [String]) -> Int32? {
  guard arguments.count == 1 else { return nil }
  switch arguments[0] {
  case "version": _ = StandardStream.output.write(Array(versionText(Engine.versionInfo()).utf8))
  case "--version", "-v": _ = StandardStream.output.write(Array(versionLine.utf8))
  default: return nil
  }
  return 0
}

/// What `version` prints.
private func versionText(_ version: VersionInfo) -> String {
  "Stave:\n Version:  \(version.version)\n OS/Arch:  \(version.os)/\(version.architecture)\n"
    + " Kernel:   \(version.kernel)\n"
}

/// What `--version` prints.
var versionLine: String { "stave version \(Engine.version)\n" }

/// What `--format` of `version` reads: the same under `Client` and `Server`, since Stave is both.
func versionValue(_ version: VersionInfo) -> JSON {
  let members: [String: JSON] = [
    "Version": .string(version.version), "Os": .string(version.os), "Arch": .string(version.architecture),
    "KernelVersion": .string(version.kernel),
  ]
  var all = members
  all["Client"] = .object(members)
  all["Server"] = .object(members)
  return .object(all)
}
