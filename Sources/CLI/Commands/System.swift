internal import Core
internal import Engine

extension Command {
  /// `stave system check`.
  static let systemCheck = Command(
    path: ["system", "check"], usage: "[OPTIONS]", summary: "Verify all that is stored",
    flags: [Flag("repair", .bool, "Remove what is damaged")], arity: .none
  ) { call in
    let problems = try await interruptible { try await call.engine.checkStore(repair: call.bool("repair")) }
    for problem in problems {
      call.console.line(SafeText.line(problem.description) + (problem.repaired ? " (repaired)" : ""))
    }
    if problems.isEmpty { call.console.line("no problems found") }
    return problems.allSatisfy(\.repaired) ? 0 : 1
  }

  /// `stave info`.
  static func info(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS]", summary: "Show what this machine and store can do",
      flags: [Flag("format", "f", .string, formatHelp)], arity: .none
    ) { call in
      let entries = try await call.engine.info()
      guard let format = call.string("format"), !format.isEmpty else {
        for entry in entries { call.console.line("\(entry.name): \(entry.value)") }
        return 0
      }
      // Members have the names without blanks and signs: `Layer Mount` is `.LayerMount`.
      let members = entries.map { ($0.name.filter { $0.isLetter || $0.isNumber }, JSON.string($0.value)) }
      let value = JSON.object(Dictionary(members, uniquingKeysWith: { first, _ in first }))
      call.console.line(try Template(format == "json" ? "{{json .}}" : format).render(value))
      return 0
    }
  }
}
