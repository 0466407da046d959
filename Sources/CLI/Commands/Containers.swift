internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave ps`.
  static func containers(_ path: [String]) -> Command {
    Command(
      path: path, aliases: path.count > 1 ? ["list", "ps"] : [], usage: "[OPTIONS]", summary: "List containers",
      flags: [
        Flag("all", "a", .bool, "Show all containers, not only those that run"),
        Flag("filter", "f", .list, "status=, name=, id=, label=, ancestor=, exited=", placeholder: "key=value"),
        Flag("format", .string, formatHelp),
        Flag("last", "n", .int, "Show the n containers created last"),
        Flag("latest", "l", .bool, "Show the container created last"),
        Flag("no-trunc", .bool, "Show whole IDs and commands"),
        Flag("quiet", "q", .bool, "Show IDs only"),
        Flag("size", "s", .bool, "Show sizes"),
      ], arity: .none, argumentKind: Command.ArgumentKind.none, action: listContainers)
  }

  /// `stave rm`.
  static func removeContainers(_ path: [String]) -> Command {
    Command(
      path: path, aliases: path.count > 1 ? ["remove"] : [], usage: "[OPTIONS] CONTAINER [CONTAINER...]",
      summary: "Remove containers",
      flags: [
        Flag("force", "f", .bool, "Kill and remove containers that run"),
        .note("volumes", "v", .bool, "Remove anonymous volumes", "there are none"),
        .later("link", "l", .bool),
      ], arity: .atLeast(1), argumentKind: .containers
    ) { call in
      try await call.forEachArgument(unlessMissing: call.bool("force")) { name in
        call.console.line(try await call.engine.removeContainer(name, force: call.bool("force")))
      }
    }
  }
}

/// The columns that a template may name.
let containerColumns: [OutputFormat.Column] = [
  .init("ID", "CONTAINER ID"), .init("Image", "IMAGE"), .init("Command", "COMMAND"), .init("RunningFor", "CREATED"),
  .init("CreatedAt", "CREATED AT"), .init("Status", "STATUS"), .init("State", "STATE"), .init("Ports", "PORTS"),
  .init("Names", "NAMES"), .init("Size", "SIZE"), .init("Labels", "LABELS"), .init("Mounts", "MOUNTS"),
  .init("LocalVolumes", "LOCAL VOLUMES"), .init("Networks", "NETWORKS"), .init("ImageID", "IMAGE ID"),
]

private func listContainers(_ call: Invocation) async throws -> Int32 {
  let size = call.bool("size") ? "\\t{{.Size}}" : ""
  let table = OutputFormat.unescaped(
    "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}\(size)")
  let format = try OutputFormat(call.string("format"), default: table)
  let filter = try ContainerFilter(call)
  let last = call.bool("latest") ? 1 : call.int("last") ?? -1
  let needsSize = call.bool("size") || (call.string("format") ?? "").contains(".Size")
  let all = try await call.engine.containers(
    all: call.bool("all") || last > 0 || filter.looksAtAll, withSize: needsSize)
  var rows = all.filter(filter.matches).sorted { ($1.created, $1.id) < ($0.created, $0.id) }
  if last > 0 { rows = Array(rows.prefix(last)) }
  let isWhole = call.bool("no-trunc")
  if call.bool("quiet"), !call.has("format") {
    for row in rows { call.console.line(isWhole ? row.id : String(row.id.prefix(12))) }
    return 0
  }
  let now = Machine.now()
  call.console.print(
    try format.render(rows.map { containerRow($0, isWhole: isWhole, now: now) }, columns: containerColumns))
  return 0
}

/// The members that `--format` of `ps` reads.
func containerRow(_ row: ContainerSummary, isWhole: Bool, now: Timestamp) -> JSON {
  let command = SafeText.line(row.command.joined(separator: " "))
  return .object([
    "ID": .string(isWhole ? row.id : String(row.id.prefix(12))), "Image": .string(row.image),
    "ImageID": .string(row.imageID.text),
    "Command": .string("\"\(isWhole ? command : ellipsis(command, 20))\""),
    "CreatedAt": .string(HumanText.time(row.created)),
    "RunningFor": .string(HumanText.age(of: row.created, now: now)),
    "Status": .string(containerStatus(row.state, now: now)), "State": .string(row.state.word), "Ports": "",
    "Names": .string(row.name), "Size": .string(row.size.map(HumanText.size) ?? "0B"),
    "Labels": .string(row.labels.keys.sorted().map { "\($0)=\(row.labels[$0] ?? "")" }.joined(separator: ",")),
    "Mounts": "", "LocalVolumes": "0", "Networks": "",
  ])
}

/// `Up 2 minutes`, `Exited (0) 3 hours ago`.
func containerStatus(_ state: ContainerSummary.State, now: Timestamp) -> String {
  switch state {
  case .created: "Created"
  case .running(_, let since):
    "Up " + HumanText.duration(seconds: max(0, now.nanoseconds(since: since, clampedTo: .max) / 1_000_000_000))
  case .exited(let code, let at): "Exited (\(code)) \(HumanText.age(of: at, now: now))"
  case .dead: "Dead"
  }
}

/// Which containers `ps` shows.
struct ContainerFilter: Sendable {
  private var wanted: [String: [String]] = [:]
  private static let names = ["ancestor", "exited", "id", "label", "name", "status"]

  init(_ call: Invocation) throws {
    for (name, value) in try call.pairs("filter") {
      guard ContainerFilter.names.contains(name) else {
        if ["network", "publish", "expose", "volume", "health", "before", "since", "is-task"].contains(name) {
          throw Failure.notSupportedYet("--filter \(name)")
        }
        throw call.usage("invalid filter \"\(name)\"" + didYouMean(name, in: ContainerFilter.names))
      }
      wanted[name, default: []].append(value)
    }
  }

  /// Whether containers that do not run are asked for.
  var looksAtAll: Bool { wanted["status"] != nil || wanted["exited"] != nil }

  func matches(_ row: ContainerSummary) -> Bool {
    for name in ContainerFilter.names {
      guard let values = wanted[name] else { continue }
      let isMatch =
        name == "label"
        ? values.allSatisfy { LabelFilter.matches($0, row.labels) }
        : values.contains { matches(name, $0, row) }
      if !isMatch { return false }
    }
    return true
  }

  private func matches(_ name: String, _ value: String, _ row: ContainerSummary) -> Bool {
    switch name {
    case "status": return row.state.word == value
    case "id": return row.id.hasPrefix(value)
    case "name":
      let bare = value.hasPrefix("^") ? value.dropFirst() : value[...]
      let isAnchored = value.hasPrefix("^")
      let text = bare.hasSuffix("$") ? bare.dropLast() : bare
      let plain = text.hasPrefix("/") ? text.dropFirst() : text
      if isAnchored, bare.hasSuffix("$") { return row.name == plain }
      if isAnchored { return row.name.hasPrefix(plain) }
      if bare.hasSuffix("$") { return row.name.hasSuffix(plain) }
      return row.name.contains(plain)
    case "exited":
      if case .exited(let code, _) = row.state { return String(code) == value }
      return false
    case "ancestor":
      return row.image == value || row.image == value + ":latest" || value == row.image + ":latest"
        || row.imageID.text == value || (value.count >= 4 && row.imageID.encoded.hasPrefix(value))
    default: return false
    }
  }
}
