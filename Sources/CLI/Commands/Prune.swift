internal import Core
internal import Engine

private let allImages = "all images without at least one container associated to them"

private func pruneFlags(_ own: [Flag], filters: String) -> [Flag] {
  (own + [
    Flag("dry-run", .bool, "Show what would be removed, and remove nothing"),
    Flag("filter", .list, filters, placeholder: "key=value"),
    Flag("force", "f", .bool, "Do not ask"),
    Flag("print", .bool, "The same as --dry-run", isHidden: true),
  ]).sorted { $0.name < $1.name }
}

extension Command {
  /// `stave image prune`.
  static let pruneImages = Command(
    path: ["image", "prune"], usage: "[OPTIONS]", summary: "Remove unused images",
    flags: pruneFlags(
      [Flag("all", "a", .bool, "Remove all images without a container, not only those without a name")],
      filters: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"), arity: .none
  ) { call in
    let what = call.bool("all") ? allImages : "all dangling images"
    guard call.mayPrune("WARNING! This will remove \(what).") else { return 0 }
    return call.report(
      try await call.engine.pruneImages(
        all: call.bool("all"), filters: try call.pairs("filter"), dryRun: call.isDryRun))
  }

  /// `stave container prune`.
  static let pruneContainers = Command(
    path: ["container", "prune"], usage: "[OPTIONS]", summary: "Remove all stopped containers",
    flags: pruneFlags([], filters: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"), arity: .none
  ) { call in
    guard call.mayPrune("WARNING! This will remove all stopped containers.") else { return 0 }
    return call.report(
      try await call.engine.pruneContainers(filters: try call.pairs("filter"), dryRun: call.isDryRun))
  }

  /// `stave system prune`.
  static let pruneSystem = Command(
    path: ["system", "prune"], usage: "[OPTIONS]", summary: "Remove unused data",
    flags: pruneFlags(
      [
        Flag("all", "a", .bool, "Remove all images without a container, not only those without a name"),
        .later("volumes", .bool),
      ], filters: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"), arity: .none
  ) { call in
    let isAll = call.bool("all")
    var question =
      "WARNING! This will remove:\n  - all stopped containers\n  - \(isAll ? allImages : "all dangling images")\n"
      + "  - \(isAll ? "all" : "unused") build cache\n"
    if call.has("filter") {
      question += "\n  Items to be pruned will be filtered with:\n"
      question += call.list("filter").sorted().map { "  - \($0)\n" }.joined()
    }
    guard call.mayPrune(question) else { return 0 }
    return call.report(
      try await call.engine.pruneSystem(all: isAll, filters: try call.pairs("filter"), dryRun: call.isDryRun))
  }

  /// `stave builder prune`.
  static let pruneBuildCache = Command(
    path: ["builder", "prune"], usage: "[OPTIONS]", summary: "Remove build cache",
    details: "With --keep-storage the steps of least value go first: large, cheap to make again, long unused.",
    flags: pruneFlags(
      [
        Flag("all", "a", .bool, "Remove all unused build cache, not just dangling ones"),
        Flag("keep-storage", .string, "Amount of disk space to keep for cache", placeholder: "bytes"),
        .later("max-used-space", .string), .later("min-free-space", .string), .later("reserved-space", .string),
      ], filters: "until=TIME: last used before"), arity: .none
  ) { call in
    let what = call.bool("all") ? "all build cache" : "all dangling build cache"
    let keep = try call.string("keep-storage").map { text in
      guard let bytes = ByteSize.parse(text) else {
        throw call.usage("invalid argument \"\(text)\" for \"--keep-storage\" flag: invalid size: '\(text)'")
      }
      return bytes
    }
    guard call.mayPrune("WARNING! This will remove \(what).") else { return 0 }
    var outcome = try await call.engine.pruneBuildCache(
      all: call.bool("all"), filters: try call.pairs("filter"), keepStorage: keep.flatMap { $0 > 0 ? $0 : nil },
      dryRun: call.isDryRun)
    outcome.images = RemovedImages()
    return call.report(outcome)
  }
}

extension Invocation {
  fileprivate var isDryRun: Bool { bool("dry-run") || bool("print") }

  /// Whether nothing is removed, or the user wants it.
  fileprivate func mayPrune(_ question: String) -> Bool { isDryRun || bool("force") || confirms(question) }

  /// Tells what was removed, or for a dry run would be; returns the exit code.
  fileprivate func report(_ outcome: PruneOutcome) -> Int32 {
    if isDryRun {
      for line in outcome.plan.split(separator: "\n") { console.line(SafeText.line(String(line))) }
      console.line("Total reclaimable space: \(HumanText.size(outcome.reclaimed))")
    } else {
      console.print(pruneText(outcome))
    }
    return 0
  }
}

/// What a prune removed, in Docker's words.
func pruneText(_ outcome: PruneOutcome) -> String {
  var out = ""
  if !outcome.containers.isEmpty {
    out += "Deleted Containers:\n" + outcome.containers.map { $0 + "\n" }.joined() + "\n"
  }
  let images = removedLines(outcome.images)
  if !images.isEmpty { out += "Deleted Images:\n" + lowercasedHeads(images) + "\n" }
  if !outcome.cacheRecords.isEmpty {
    out += "Deleted build cache objects:\n" + outcome.cacheRecords.map { $0 + "\n" }.joined() + "\n"
  }
  return out + "Total reclaimed space: \(HumanText.size(outcome.reclaimed))\n"
}
