internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave history`.
  static func history(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] IMAGE", summary: "Show how an image was made",
      flags: [
        Flag("format", .string, formatHelp),
        Flag("human", "H", .bool, "Sizes and dates for people (default: true)"),
        Flag("no-trunc", .bool, "Show whole IDs and commands"),
        Flag("quiet", "q", .bool, "Show IDs only"),
        .later("platform", .string),
      ], arity: .exactly(1), argumentKind: .images, action: showHistory)
  }
}

private let historyColumns: [OutputFormat.Column] = [
  .init("ID", "IMAGE"), .init("CreatedAt", "CREATED AT"), .init("CreatedSince", "CREATED"),
  .init("CreatedBy", "CREATED BY"), .init("Size", "SIZE"), .init("Comment", "COMMENT"),
]

private func showHistory(_ call: Invocation) async throws -> Int32 {
  let isHuman = !call.has("human") || call.bool("human")
  let created = isHuman ? "{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}" : "{{.CreatedAt}}"
  let table = OutputFormat.unescaped("{{.ID}}\\t\(created)\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}")
  let format = try OutputFormat(
    call.string("format") ?? (call.bool("quiet") ? "{{.ID}}" : nil), default: table)
  let now = Machine.now()
  let rows = try await call.engine.imageHistory(call.arguments[0]).map { row in
    historyRow(row, isWhole: call.bool("no-trunc"), isHuman: isHuman, now: now)
  }
  call.console.print(try format.render(rows, columns: historyColumns))
  return 0
}

/// The members that `--format` of `history` reads.
func historyRow(_ row: HistoryRow, isWhole: Bool, isHuman: Bool, now: Timestamp) -> JSON {
  let createdBy = SafeText.line(row.createdBy.split(whereSeparator: \.isNewline).joined(separator: " "))
  return .object([
    "ID": .string(row.id.map { isWhole ? $0.text : $0.short } ?? "<missing>"),
    "CreatedAt": .string(row.created?.rfc3339 ?? ""),
    "CreatedSince": .string(row.created.map { HumanText.age(of: $0, now: now) } ?? ""),
    "CreatedBy": .string(isWhole ? createdBy : ellipsis(createdBy, 45)),
    "Size": .string(isHuman ? HumanText.size(row.size) : String(row.size)), "Comment": .string(row.comment),
  ])
}

/// `text`, or so much of it that it has `width` characters with an ellipsis.
func ellipsis(_ text: String, _ width: Int) -> String {
  text.count <= width ? text : text.prefix(width - 1) + "…"
}
