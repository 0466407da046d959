internal import Core
internal import Engine

extension Command {
  /// `stave tag`.
  static func tag(_ path: [String]) -> Command {
    Command(
      path: path, usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", summary: "Give an image another name",
      arity: .exactly(2), argumentKind: .images
    ) { call in
      try await call.engine.tag(call.arguments[0], as: call.arguments[1])
      return 0
    }
  }

  /// `stave rmi`.
  static func removeImages(_ path: [String]) -> Command {
    Command(
      path: path, aliases: path.count > 1 ? ["remove"] : [], usage: "[OPTIONS] IMAGE [IMAGE...]",
      summary: "Remove images",
      flags: [
        Flag("force", "f", .bool, "Remove images that have several names or stopped containers"),
        Flag("no-prune", .bool, "Keep parents without a name"),
        .later("platform", .list),
      ], arity: .atLeast(1), argumentKind: .images
    ) { call in
      try await call.forEachArgument(unlessMissing: call.bool("force")) { name in
        let removed = try await call.engine.removeImage(
          name, force: call.bool("force"), noPrune: call.bool("no-prune"))
        call.console.print(removedLines(removed))
      }
    }
  }
}

/// `Untagged: x` and `Deleted: sha256:...`, a line each.
func removedLines(_ removed: RemovedImages) -> String {
  removed.untagged.map { "Untagged: \($0)\n" }.joined() + removed.deleted.map { "Deleted: \($0.text)\n" }.joined()
}

/// As the prune commands write the same lines: `untagged: x`.
func lowercasedHeads(_ lines: String) -> String {
  lines.split(separator: "\n").map { $0.prefix(1).lowercased() + $0.dropFirst() + "\n" }.joined()
}

extension Invocation {
  /// Does `body` for every argument, whatever becomes of the others; failures are told as they come. Returns 0, or 1
  /// if there was one; with `unlessMissing` an object that is not there is told but is no failure, as Docker has it.
  func forEachArgument(unlessMissing: Bool = false, _ body: (String) async throws -> Void) async throws -> Int32 {
    var code: Int32 = 0
    for name in arguments {
      do {
        try await body(name)
      } catch let failure as Failure {
        console.error(FailureReport(hasColor: console.hasColor).text(failure))
        if !unlessMissing || failure.kind != .notFound { code = 1 }
      }
    }
    return code
  }
}
