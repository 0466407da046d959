internal import Core
internal import Engine

extension Command {
  /// `stave system df`.
  static let systemUsage = Command(
    path: ["system", "df"], usage: "[OPTIONS]", summary: "Show what uses how much disk space",
    flags: [
      Flag("format", .string, formatHelp),
      Flag("verbose", "v", .bool, "Show every object, as JSON"),
    ], arity: .none, action: showUsage)

  /// `stave system prune`.
  static let pruneSystem = Command(
    path: ["system", "prune"], usage: "[OPTIONS]", summary: "Remove unused data",
    flags: [
      Flag("all", "a", .bool, "Remove all images without a container, not only those without a name"),
      Flag("filter", .list, "until=TIME", placeholder: "key=value"),
      Flag("force", "f", .bool, "Do not ask"),
      .later("volumes", .bool),
    ], arity: .none
  ) { call in
    let images =
      call.bool("all") ? "all images without at least one container associated to them" : "all dangling images"
    let question =
      "WARNING! This will remove:\n  - all stopped containers\n  - \(images)\n  - unused build cache\n"
    guard call.bool("force") || call.confirms(question) else { return 0 }
    let outcome = try await call.engine.pruneSystem(all: call.bool("all"), filters: try call.pairs("filter"))
    call.console.print(pruneText(outcome))
    return 0
  }

  /// `stave builder prune`.
  static let pruneBuildCache = Command(
    path: ["builder", "prune"], usage: "[OPTIONS]", summary: "Remove the build cache",
    flags: [
      Flag("all", "a", .bool, "Remove records that images still use too"),
      Flag("filter", .list, "until=TIME", placeholder: "key=value"),
      Flag("force", "f", .bool, "Do not ask"),
      .later("keep-storage", .string), .later("max-used-space", .string), .later("min-free-space", .string),
      .later("reserved-space", .string),
    ], arity: .none
  ) { call in
    let what = call.bool("all") ? "all build cache" : "all dangling build cache"
    guard call.bool("force") || call.confirms("WARNING! This will remove \(what).") else { return 0 }
    let outcome = try await call.engine.pruneBuildCache(all: call.bool("all"), filters: try call.pairs("filter"))
    call.console.print(pruneText(outcome))
    return 0
  }

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

private let usageColumns: [OutputFormat.Column] = [
  .init("Type", "TYPE"), .init("TotalCount", "TOTAL"), .init("Active", "ACTIVE"), .init("Size", "SIZE"),
  .init("Reclaimable", "RECLAIMABLE"),
]

private func showUsage(_ call: Invocation) async throws -> Int32 {
  if call.bool("verbose") {
    let details = try await call.engine.diskUsageDetails()
    switch call.string("format") {
    case nil, "": call.console.line(details.pretty())
    case "json": call.console.line(details.text)
    case let text?: call.console.line(try Template(OutputFormat.unescaped(text)).render(details))
    }
    return 0
  }
  let table = OutputFormat.unescaped("{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}")
  let format = try OutputFormat(call.string("format"), default: table)
  let rows = try await call.engine.diskUsage().map(usageRow)
  call.console.print(try format.render(rows, columns: usageColumns))
  return 0
}

/// The members that `--format` of `system df` reads.
func usageRow(_ row: DiskUsage) -> JSON {
  var reclaimable = HumanText.size(row.reclaimable)
  // As Docker, without a share of nothing.
  if row.size > 0 { reclaimable += " (\(Int(Double(row.reclaimable) / Double(row.size) * 100))%)" }
  return .object([
    "Type": .string(row.type), "TotalCount": .string(String(row.total)), "Active": .string(String(row.active)),
    "Size": .string(HumanText.size(row.size)), "Reclaimable": .string(reclaimable),
  ])
}
