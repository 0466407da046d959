internal import Core
internal import Engine

extension Command {
  /// `stave search`.
  static let search = Command(
    path: ["search"], usage: "[OPTIONS] TERM", summary: "Search Docker Hub for images",
    details: "TERM may begin with another registry, as in localhost:5000/app: its list of repositories is searched.",
    flags: [
      Flag("filter", "f", .list, "is-official=BOOL, is-automated=BOOL, stars=NUMBER", placeholder: "key=value"),
      Flag("format", .string, formatHelp),
      Flag("limit", .int, "How many to show, 1 to 100 (default: 25)", placeholder: "count"),
      Flag("no-trunc", .bool, "Show whole descriptions"),
    ] + Flag.registry, arity: .exactly(1), argumentKind: Command.ArgumentKind.none, action: searchImages)
}

private let searchColumns: [OutputFormat.Column] = [
  .init("Name", "NAME"), .init("Description", "DESCRIPTION"), .init("StarCount", "STARS"),
  .init("IsOfficial", "OFFICIAL"), .init("IsAutomated", "AUTOMATED"),
]

private func searchImages(_ call: Invocation) async throws -> Int32 {
  let limit = call.int("limit") ?? 25
  guard (1...100).contains(limit) else { throw call.usage("limit \(limit) is outside the range of [1, 100]") }
  let table = OutputFormat.unescaped("{{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}")
  let format = try OutputFormat(call.string("format"), default: table)
  let filter = try SearchFilter(call)
  let isWhole = call.bool("no-trunc")
  let found = try await call.engine.search(call.arguments[0], limit: limit, call.registryOptions)
  let rows = found.filter(filter.matches).map { row in
    JSON.object([
      "Name": .string(SafeText.line(row.name)),
      "Description": .string(shortened(SafeText.line(row.description), isWhole: isWhole)),
      "StarCount": .string(String(row.stars)), "IsOfficial": .string(row.isOfficial ? "[OK]" : ""),
      "IsAutomated": .string(row.isAutomated ? "[OK]" : ""),
    ])
  }
  call.console.print(try format.render(rows, columns: searchColumns))
  return 0
}

/// As docker: one line of at most 45 characters.
private func shortened(_ text: String, isWhole: Bool) -> String {
  isWhole || text.count <= 45 ? text : text.prefix(44) + "…"
}

/// Which of the repositories that were found are shown.
private struct SearchFilter {
  private var isOfficial: Bool?
  private var isAutomated: Bool?
  private var stars: Int64 = 0

  init(_ call: Invocation) throws {
    for text in call.list("filter") {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      func refuse() -> Failure { call.usage("invalid filter \"\(text)\"") }
      guard parts.count == 2 else { throw call.usage("invalid filter \"\(text)\": expected key=value") }
      switch parts[0] {
      case "is-official":
        guard let value = FlagValues.parseBool(parts[1]) else { throw refuse() }
        isOfficial = value
      case "is-automated":
        guard let value = FlagValues.parseBool(parts[1]) else { throw refuse() }
        isAutomated = value
      case "stars":
        guard let value = Int64(parts[1]), value >= 0 else { throw refuse() }
        stars = value
      default:
        throw call.usage(
          "invalid filter \"\(parts[0])\"" + didYouMean(parts[0], in: ["is-automated", "is-official", "stars"]))
      }
    }
  }

  func matches(_ row: FoundRepository) -> Bool {
    row.stars >= stars && isOfficial.map { $0 == row.isOfficial } ?? true
      && isAutomated.map { $0 == row.isAutomated } ?? true
  }
}
