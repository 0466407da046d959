internal import Core
internal import Engine
internal import Linux

/// The help of every `--format`.
let formatHelp = "table, json, or a Go template such as '{{.ID}}' or 'table {{.ID}}\\t{{.Size}}'"

extension Command {
  /// `stave images`.
  static func images(_ path: [String]) -> Command {
    Command(
      path: path, aliases: path.count > 1 ? ["list"] : [], usage: "[OPTIONS] [REPOSITORY[:TAG]]",
      summary: "List images",
      flags: [
        Flag("all", "a", .bool, "Show intermediate images too"),
        Flag("digests", .bool, "Show digests"),
        Flag("filter", "f", .list, "dangling=BOOL, label=KEY[=VALUE], reference=PATTERN", placeholder: "key=value"),
        Flag("format", .string, formatHelp),
        Flag("no-trunc", .bool, "Show whole IDs"),
        Flag("quiet", "q", .bool, "Show IDs only"),
        .later("tree", .bool),
      ], arity: .atMost(1), argumentKind: .images, action: listImages)
  }
}

/// The columns that a template may name.
let imageColumns: [OutputFormat.Column] = [
  .init("ID", "IMAGE ID"), .init("Repository", "REPOSITORY"), .init("Tag", "TAG"), .init("Digest", "DIGEST"),
  .init("CreatedSince", "CREATED"), .init("CreatedAt", "CREATED AT"), .init("Size", "SIZE"),
  .init("VirtualSize", "SIZE"), .init("Containers", "CONTAINERS"), .init("SharedSize", "SHARED SIZE"),
  .init("UniqueSize", "UNIQUE SIZE"),
]

private func listImages(_ call: Invocation) async throws -> Int32 {
  let created = "{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}"
  let digest = call.bool("digests") ? "\\t{{.Digest}}" : ""
  let table = OutputFormat.unescaped("{{.Repository}}\\t{{.Tag}}\(digest)\\t{{.ID}}\\t\(created)\\t{{.Size}}")
  let format = try OutputFormat(call.string("format"), default: table)
  let filter = try ImageFilter(call)
  let rows = try await call.engine.images(all: call.bool("all")).filter(filter.matches)
  let isWhole = call.bool("no-trunc")
  if call.bool("quiet"), !call.has("format") {
    var seen: Set<Digest> = []
    for row in rows where seen.insert(row.id).inserted { call.console.line(isWhole ? row.id.text : row.id.short) }
    return 0
  }
  let now = Machine.now()
  call.console.print(
    try format.render(rows.map { imageRow($0, isWhole: isWhole, now: now) }, columns: imageColumns))
  return 0
}

/// The members that `--format` of `images` reads.
func imageRow(_ image: ImageSummary, isWhole: Bool, now: Timestamp) -> JSON {
  let size = JSON.string(HumanText.size(image.size))
  return .object([
    "ID": .string(isWhole ? image.id.text : image.id.short),
    "Repository": .string(image.repository ?? "<none>"), "Tag": .string(image.tag ?? "<none>"),
    "Digest": .string(image.digest?.text ?? "<none>"),
    "CreatedSince": .string(image.created.map { HumanText.age(of: $0, now: now) } ?? "N/A"),
    "CreatedAt": .string(image.created.map(HumanText.time) ?? "N/A"), "Size": size, "VirtualSize": size,
    "Containers": .string(String(image.containers)), "SharedSize": "N/A", "UniqueSize": "N/A",
  ])
}

/// Which images `images` shows.
struct ImageFilter: Sendable {
  private var dangling: Bool?
  private var labels: [String] = []
  private var references: [String] = []

  init(_ call: Invocation) throws {
    for text in call.list("filter") {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else { throw call.usage("invalid filter \"\(text)\": expected key=value") }
      switch parts[0] {
      case "dangling":
        guard let value = FlagValues.parseBool(parts[1]) else { throw call.usage("invalid filter \"\(text)\"") }
        dangling = value
      case "label": labels.append(parts[1])
      case "reference": references.append(parts[1])
      case "before", "since", "until": throw Failure.notSupportedYet("--filter \(parts[0])")
      default:
        throw call.usage(
          "invalid filter \"\(parts[0])\"" + didYouMean(parts[0], in: ["dangling", "label", "reference"]))
      }
    }
    if let name = call.arguments.first { references.append(name) }
  }

  func matches(_ image: ImageSummary) -> Bool {
    if let dangling, dangling != (image.repository == nil) { return false }
    for label in labels where !LabelFilter.matches(label, image.labels) { return false }
    guard !references.isEmpty else { return true }
    guard let repository = image.repository else { return false }
    return references.contains { pattern in
      let hasTag = pattern.split(separator: "/").last?.contains(":") ?? false
      let name = hasTag ? "\(repository):\(image.tag ?? "latest")" : repository
      // What people leave out of a name is left out of a pattern too.
      let short = ["docker.io/library/", "docker.io/", "library/"].first { pattern.hasPrefix($0) }
      return Wildcard.matches(short.map { String(pattern.dropFirst($0.count)) } ?? pattern, name)
    }
  }
}

/// `key` or `key=value` against labels.
enum LabelFilter {
  static func matches(_ text: String, _ labels: [String: String]) -> Bool {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let value = labels[parts[0]] else { return false }
    return parts.count == 1 || parts[1] == value
  }
}

/// Shell patterns for names: `*` is any run of characters but `/`, `?` one of them.
enum Wildcard {
  static func matches(_ pattern: String, _ name: String) -> Bool {
    let p = Array(pattern.utf8)
    let n = Array(name.utf8)
    var i = 0
    var j = 0
    var star: (pattern: Int, name: Int)?
    while j < n.count {
      if i < p.count, p[i] == UInt8(ascii: "*") {
        star = (i, j)
        i += 1
      } else if i < p.count, p[i] == n[j] || (p[i] == UInt8(ascii: "?") && n[j] != UInt8(ascii: "/")) {
        i += 1
        j += 1
      } else if let (at, from) = star, n[from] != UInt8(ascii: "/") {
        star = (at, from + 1)
        i = at + 1
        j = from + 1
      } else {
        return false
      }
    }
    while i < p.count, p[i] == UInt8(ascii: "*") { i += 1 }
    return i == p.count
  }
}
