internal import Core
internal import Engine

extension Command {
  /// `stave inspect`, `stave image inspect`, `stave container inspect`.
  static func inspect(_ path: [String]) -> Command {
    let kind = path.count > 1 ? path[0] : nil
    return Command(
      path: path, usage: "[OPTIONS] \(kind?.uppercased() ?? "NAME|ID") [\(kind?.uppercased() ?? "NAME|ID")...]",
      summary: kind.map { "Show all about \($0)s, as JSON" } ?? "Show all about images and containers, as JSON",
      flags: [Flag("format", "f", .string, formatHelp), .later("size", "s", .bool)]
        + (kind == nil
          ? [Flag("type", .string, "What to look for", choices: ["image", "container"], placeholder: "kind")]
          : [
            kind == "image"
              ? Flag("platform", .string, "Show the image for this platform", placeholder: "os/arch[/variant]")
              : .later("platform", .string)
          ]),
      arity: .atLeast(1), argumentKind: kind == "container" ? .containers : .images
    ) { call in
      try await showObjects(call, kind: kind ?? call.string("type"))
    }
  }
}

private func showObjects(_ call: Invocation, kind: String?) async throws -> Int32 {
  let format = call.string("format")
  let template: Template? =
    switch format {
    case nil, "": nil
    case "json": try Template("{{json .}}")
    case let text?: try Template(OutputFormat.unescaped(text))
    }
  var found: [JSON] = []
  var failures: [Failure] = []
  for name in call.arguments {
    do {
      found.append(try await object(name, kind: kind, platform: call.string("platform"), engine: call.engine))
    } catch let failure as Failure {
      failures.append(failure)
    }
  }
  if let template {
    for value in found { call.console.line(try template.render(value)) }
  } else {
    call.console.line(JSON.array(found).pretty())
  }
  for failure in failures { call.console.error(FailureReport(hasColor: call.console.hasColor).text(failure)) }
  return failures.isEmpty ? 0 : 1
}

private func object(_ name: String, kind: String?, platform: String?, engine: Engine) async throws -> JSON {
  switch kind {
  case "container": return try await engine.inspectContainer(name)
  case "image": return try await engine.inspectImage(name, platform: platform)
  default:
    do {
      return try await engine.inspectContainer(name)
    } catch let failure as Failure where failure.kind == .notFound {
      do {
        return try await engine.inspectImage(name)
      } catch var failure as Failure where failure.kind == .notFound {
        failure.reason = "no such image or container:" + failure.reason.dropFirst("no such image:".count)
        throw failure
      }
    }
  }
}
