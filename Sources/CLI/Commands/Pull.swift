internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave pull`.
  static func pull(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] NAME[:TAG|@DIGEST]", summary: "Download an image from a registry",
      flags: [
        Flag("all-platforms", .bool, "Take the images for all platforms"),
        Flag("all-tags", "a", .bool, "Download all tagged images in the repository"),
        Flag("platform", .string, "Take the image for this platform", placeholder: "os/arch[/variant]"),
        Flag("quiet", "q", .bool, "Print nothing but the image's name"),
        .note("disable-content-trust", .bool, "Accepted for scripts", "content trust is not what Stave verifies by"),
      ] + Flag.registry, arity: .exactly(1), argumentKind: .images, action: pullImage)
  }
}

private func pullImage(_ call: Invocation) async throws -> Int32 {
  let name = call.arguments[0]
  if call.bool("all-platforms"), call.has("platform") {
    throw call.usage("--platform and --all-platforms exclude each other")
  }
  guard call.bool("all-tags") else {
    try await pull(name, call)
    return 0
  }
  let reference = try ImageReference(name)
  guard !name.hasSuffix(":" + (reference.tag ?? ":")), reference.digest == nil else {
    throw Failure("", "tag can't be used with --all-tags/-a")
  }
  for tag in try await call.engine.remoteTags(of: name, call.registryOptions) {
    try await pull("\(name):\(tag)", call)
  }
  return 0
}

private func pull(_ name: String, _ call: Invocation) async throws {
  let isQuiet = call.bool("quiet")
  let console = call.console
  if !isQuiet, let reference = try? ImageReference(name), reference.tag == "latest", !name.hasSuffix(":latest") {
    console.line("Using default tag: latest")
  }
  let printer = TransferPrinter(console, to: .output)
  let outcome = try await interruptible {
    defer { printer.finish() }
    return try await call.engine.pull(
      name, platform: call.string("platform"), allPlatforms: call.bool("all-platforms"), call.registryOptions
    ) { event in
      if !isQuiet { printer.handle(event) }
    }
  }
  if !isQuiet {
    console.line("Digest: \(outcome.digest.text)")
    console.line(
      "Status: " + (outcome.isNew ? "Downloaded newer image for " : "Image is up to date for ") + outcome.familiar)
  }
  console.line(outcome.name)
}
