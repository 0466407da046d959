internal import Core
internal import Engine

extension Command {
  /// `stave version`.
  static let version = Command(
    path: ["version"], usage: "[OPTIONS]", summary: "Show the version",
    flags: [Flag("format", "f", .string, formatHelp)], arity: .none
  ) { call in
    let version = Engine.versionInfo()
    switch call.string("format") {
    case nil, "":
      call.console.print(
        "Stave:\n Version:  \(version.version)\n OS/Arch:  \(version.os)/\(version.architecture)\n"
          + " Kernel:   \(version.kernel)\n")
    case "json": call.console.line(versionValue(version).text)
    case let text?: call.console.line(try Template(text).render(versionValue(version)))
    }
    return 0
  }
}

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
