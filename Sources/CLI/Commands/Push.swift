internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave push`.
  static func push(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] NAME[:TAG]", summary: "Upload an image to a registry",
      flags: [
        Flag("all-tags", "a", .bool, "Push all tags of the repository"),
        Flag("quiet", "q", .bool, "Print nothing but the image's name"),
        .note("disable-content-trust", .bool, "Accepted for scripts", "content trust is not what Stave signs by"),
        Flag("platform", .string, "Push the image for this platform only", placeholder: "os/arch[/variant]"),
      ] + Flag.compression + Flag.registry, arity: .exactly(1), argumentKind: .images, action: pushImage)
  }
}

private func pushImage(_ call: Invocation) async throws -> Int32 {
  let name = call.arguments[0]
  let reference = try ImageReference(name)
  var names = [name]
  if call.bool("all-tags") {
    guard !name.hasSuffix(":" + (reference.tag ?? ":")), reference.digest == nil else {
      throw Failure("", "tag can't be used with --all-tags/-a")
    }
    names = try await call.engine.localTags(of: name).map { "\(name):\($0)" }
    guard !names.isEmpty else {
      throw Failure("", "An image does not exist locally with the tag: \(reference.familiarRepository)")
    }
  }
  var push = try call.pushOptions()
  push.platform = call.string("platform")
  let isQuiet = call.bool("quiet")
  let console = call.console
  if !isQuiet {
    if names == [name], reference.tag == "latest", !name.hasSuffix(":latest") {
      console.line("Using default tag: latest")
    }
    console.line("The push refers to repository [\(reference.registry)/\(reference.repository)]")
  }
  for name in names {
    let printer = TransferPrinter(console, to: .output)
    let outcome = try await interruptible { [push] in
      defer { printer.finish() }
      return try await call.engine.push(name, push, call.registryOptions) { event in
        if !isQuiet { printer.handle(event) }
      }
    }
    if isQuiet {
      console.line(try ImageReference(name).canonical)
    } else {
      console.line("\(outcome.tag): digest: \(outcome.digest.text) size: \(outcome.size)")
    }
  }
  return 0
}
