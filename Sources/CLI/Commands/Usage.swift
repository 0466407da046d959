internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave system df`.
  static let systemUsage = Command(
    path: ["system", "df"], usage: "[OPTIONS]", summary: "Show disk usage",
    flags: [
      Flag("format", .string, formatHelp),
      Flag("verbose", "v", .bool, "Show detailed information on space usage"),
    ], arity: .none
  ) { call in
    let report = try await interruptible { try await call.engine.diskUsage() }
    if call.bool("verbose") {
      call.console.print(try verboseUsage(report, call.string("format")))
      return 0
    }
    let table = OutputFormat.unescaped("{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}")
    let format = try OutputFormat(call.string("format"), default: table)
    call.console.print(try format.render(report.rows.map(usageRow), columns: usageColumns))
    return 0
  }

  /// `stave builder du`.
  static let cacheUsage = Command(
    path: ["builder", "du"], usage: "[OPTIONS]", summary: "Show what the build cache takes",
    flags: [
      Flag("format", .string, formatHelp),
      Flag("verbose", .bool, "Show every record whole"),
      .later("filter", .list),
    ], arity: .none
  ) { call in
    let report = try await interruptible { try await call.engine.diskUsage() }
    let now = Machine.now()
    if call.bool("verbose") {
      call.console.print(report.cache.map { cacheText($0, now: now) }.joined())
    } else {
      let format = try OutputFormat(
        call.string("format"),
        default: OutputFormat.unescaped("{{.ID}}\\t{{.Reclaimable}}\\t{{.Size}}\\t{{.LastAccessed}}"))
      call.console.print(try format.render(report.cache.map { cacheRow($0, now: now) }, columns: duColumns))
      if call.has("format") { return 0 }
    }
    func sum(_ which: (CacheUsage) -> Bool) -> Int64 { report.cache.filter(which).reduce(0) { $0 + $1.size } }
    let sums = [
      ["Shared:", HumanText.size(sum(\.isShared))], ["Private:", HumanText.size(sum { !$0.isShared })],
      ["Reclaimable:", HumanText.size(sum { $0.isReclaimable })], ["Total:", HumanText.size(sum { _ in true })],
    ]
    call.console.print(TextTable.render(report.cache.contains(where: \.isShared) ? sums : Array(sums[2...])))
    return 0
  }
}

private let usageColumns: [OutputFormat.Column] = [
  .init("Type", "TYPE"), .init("TotalCount", "TOTAL"), .init("Active", "ACTIVE"), .init("Size", "SIZE"),
  .init("Reclaimable", "RECLAIMABLE"),
]

private let duColumns: [OutputFormat.Column] = [
  .init("ID", "ID"), .init("Reclaimable", "RECLAIMABLE"), .init("Size", "SIZE"),
  .init("LastAccessed", "LAST ACCESSED"), .init("LastUsedSince", "LAST USED"), .init("CreatedSince", "CREATED"),
  .init("CacheType", "CACHE TYPE"), .init("InUse", "IN USE"), .init("Shared", "SHARED"), .init("Parent", "PARENT"),
  .init("Description", "DESCRIPTION"), .init("UsageCount", "USAGE"),
]

private let volumeColumns: [OutputFormat.Column] = [
  .init("Name", "VOLUME NAME"), .init("Links", "LINKS"), .init("Size", "SIZE"),
]

private let cacheColumns: [OutputFormat.Column] = [
  .init("ID", "CACHE ID"), .init("CacheType", "CACHE TYPE"), .init("Size", "SIZE"), .init("CreatedSince", "CREATED"),
  .init("LastUsedSince", "LAST USED"), .init("UsageCount", "USAGE"), .init("Shared", "SHARED"),
]

extension CacheUsage {
  /// Whether a prune could give its bytes back now.
  var isReclaimable: Bool { !isInUse && !isShared }
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

/// Docker's four tables of `system df -v`, one JSON object, or a template over that object.
private func verboseUsage(_ report: DiskReport, _ format: String?) throws -> String {
  let now = Machine.now()
  let images = report.images.map { usage in
    guard case .object(var members) = imageRow(usage.image, isWhole: false, now: now) else { return JSON.null }
    members["SharedSize"] = .string(HumanText.size(usage.sharedSize))
    members["UniqueSize"] = .string(HumanText.size(usage.uniqueSize))
    return .object(members)
  }
  let containers = report.containers.map { containerRow($0, isWhole: false, now: now) }
  let volumes = report.volumes.map { volume in
    JSON.object(["Name": .string(volume.name), "Links": "0", "Size": .string(HumanText.size(volume.size))])
  }
  let cache = report.cache.map { cacheRow($0, now: now, idLength: 12) }
  if let format, !format.isEmpty, format != "table" {
    let value = JSON.object([
      "Images": .array(images), "Containers": .array(containers), "Volumes": .array(volumes),
      "BuildCache": .array(cache),
    ])
    return (format == "json" ? value.text : try Template(OutputFormat.unescaped(format)).render(value)) + "\n"
  }
  func table(_ title: String, _ names: [String], _ rows: [JSON], _ columns: [OutputFormat.Column]) throws -> String {
    let template = names.map { "{{.\($0)}}" }.joined(separator: "\t")
    return title + "\n\n" + (try OutputFormat(nil, default: template).render(rows, columns: columns)) + "\n"
  }
  let cacheBytes = report.rows.last?.size ?? 0
  return try table(
    "Images space usage:",
    ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"], images, imageColumns)
    + table(
      "Containers space usage:",
      ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"], containers,
      containerColumns)
    + table("Local Volumes space usage:", ["Name", "Links", "Size"], volumes, volumeColumns)
    + table(
      "Build cache usage: \(HumanText.size(cacheBytes))",
      ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"], cache, cacheColumns)
}

/// The members that `--format` of `builder du` reads.
private func cacheRow(_ row: CacheUsage, now: Timestamp, idLength: Int = 25) -> JSON {
  let lastUsed = JSON.string(HumanText.age(of: row.lastUsed, now: now))
  return .object([
    "ID": .string(String(row.id.prefix(idLength))), "Parent": .string(row.parents.joined(separator: ", ")),
    "CacheType": "regular", "Description": .string(SafeText.line(row.description)),
    "Size": .string(HumanText.size(row.size)), "CreatedAt": .string(row.created.rfc3339),
    "CreatedSince": .string(HumanText.age(of: row.created, now: now)), "LastUsedAt": .string(row.lastUsed.rfc3339),
    "LastUsedSince": lastUsed, "LastAccessed": lastUsed, "UsageCount": "1",
    "InUse": .string(String(row.isInUse)), "Shared": .string(String(row.isShared)),
    "Reclaimable": .string(String(row.isReclaimable)),
  ])
}

/// A record as `builder du --verbose` shows it.
private func cacheText(_ row: CacheUsage, now: Timestamp) -> String {
  var lines = [["ID:", row.id]]
  if !row.parents.isEmpty { lines.append(["Parents:", row.parents.joined(separator: ", ")]) }
  lines += [
    ["Created at:", HumanText.time(row.created)], ["Mutable:", "false"],
    ["Reclaimable:", String(row.isReclaimable)], ["Shared:", String(row.isShared)],
    ["Size:", HumanText.size(row.size)], ["Description:", SafeText.line(row.description)],
    ["Last used:", HumanText.age(of: row.lastUsed, now: now)], ["Type:", "regular"],
  ]
  return TextTable.render(lines) + "\n"
}
