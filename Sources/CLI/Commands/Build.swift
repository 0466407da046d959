internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave build`.
  static func build(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] PATH", summary: "Build an image from a Dockerfile",
      details: HelpText.networkNote
        + "\nPATH is the build context. `-f -` reads the Dockerfile from standard input.",
      flags: buildFlags, arity: .exactly(1), argumentKind: .files, action: runBuild)
  }
}

private func runBuild(_ call: Invocation) async throws -> Int32 {
  let request = try buildRequest(call)
  if call.has("print") {
    call.console.print(try await call.engine.graph(request))
    return 0
  }
  let style = try progressStyle(call)
  let columns = call.variable("COLUMNS").flatMap { Int($0) }
  let size = StandardStream.error.size
  let printer = ProgressPrinter(
    view: style.view(
      isTerminal: StandardStream.error.isTerminal && call.variable("TERM") != "dumb", hasColor: call.console.hasColor,
      columns: size?.columns ?? columns ?? 80, rows: size?.rows ?? 24),
    console: call.console)
  let outcome = try await interruptible {
    try await printer.whileTicking { try await call.engine.build(request, progress: printer.handle) }
  }
  if style == .quiet { call.console.line(outcome.shownID.text) }
  return 0
}

/// `--progress`, else what `BUILDKIT_PROGRESS` says.
private func progressStyle(_ call: Invocation) throws -> ProgressStyle {
  if call.bool("quiet") { return .quiet }
  let word = call.string("progress") ?? call.variable("BUILDKIT_PROGRESS") ?? "auto"
  if word == "none" { return .quiet }
  guard let style = ProgressStyle(rawValue: word) else {
    throw call.usage("invalid progress type \"\(word)\": expected auto, plain, tty, rawjson or quiet")
  }
  return style
}

private func buildRequest(_ call: Invocation) throws -> BuildRequest {
  let context = call.arguments.first ?? "."
  if context == "-" {
    throw Failure.notSupportedYet("build -", hint: "give a directory, and -f - for a Dockerfile on standard input")
  }
  let schemes = ["http://", "https://", "git://", "ssh://", "git@", "github.com/"]
  if schemes.contains(where: { context.hasPrefix($0) }) { throw Failure.notSupportedYet("build \(context)") }
  var request = BuildRequest(context: context)
  request.dockerfile = try dockerfile(call)
  request.tags = call.list("tag")
  request.target = call.string("target").flatMap { $0.isEmpty ? nil : $0 }
  request.buildArguments = try call.list("build-arg").map { text in
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = parts.first, !name.isEmpty else {
      throw call.usage("invalid argument \"\(text)\" for \"--build-arg\" flag: expected NAME or NAME=VALUE")
    }
    return (String(name), parts.count > 1 ? String(parts[1]) : nil)
  }
  request.labels = try call.pairs("label")
  request.noCache = call.bool("no-cache")
  switch call.string("pull") ?? "missing" {
  case "true", "always", "newer": request.pull = .always
  case "never": request.pull = .never
  default: request.pull = .missing
  }
  request.registries = call.registryOptions
  if call.bool("push") { request.push = try call.pushOptions() }
  request.platforms = call.list("platform")
  request.annotations = try call.list("annotation").flatMap { try BuildAnnotation.parse($0) }
  request.network = call.string("network") ?? "default"
  request.addHosts = call.list("add-host")
  request.idFile = call.string("iidfile")
  request.metadataFile = call.string("metadata-file")
  request.jobs = call.int("jobs")
  if let jobs = request.jobs, jobs < 1 {
    throw call.usage("invalid argument \"\(jobs)\" for \"--jobs\" flag: expected 1 or more")
  }
  if let text = call.string("source-date-epoch") {
    guard let seconds = Int64(text), seconds >= 0 else {
      throw call.usage("invalid argument \"\(text)\" for \"--source-date-epoch\" flag: expected seconds since 1970")
    }
    request.sourceDateEpoch = seconds
  }
  request.rewritesTimestamps = call.bool("rewrite-timestamp")
  request.environment = call.environment
  request.cacheFrom = call.list("cache-from")
  request.cacheTo = call.list("cache-to")
  request.cacheSize = try cacheSize(call)
  return request
}

/// `STAVE_KEEP_STORAGE`: how large the build cache may be after a build.
private func cacheSize(_ call: Invocation) throws -> BuildRequest.CacheSize {
  guard let text = call.variable("STAVE_KEEP_STORAGE"), !text.isEmpty else { return .percent(10) }
  if text == "unlimited" { return .unlimited }
  if text.hasSuffix("%"), let share = Int(text.dropLast()), (0...100).contains(share) { return .percent(share) }
  guard let bytes = ByteSize.parse(text) else {
    throw Failure(
      "read STAVE_KEEP_STORAGE=\(text)", "it is no size",
      hint: "write a size such as 20g, a share such as 15%, or unlimited")
  }
  return .bytes(bytes)
}

private func dockerfile(_ call: Invocation) throws -> BuildRequest.DockerfileLocation {
  let files = call.list("file")
  if files.count > 1 { throw Failure.notSupportedYet("more than one --file") }
  switch files.first {
  case nil, "": return .automatic
  case "-":
    guard let bytes = StandardStream.input.readAll(limit: 16 << 20) else {
      throw Failure("read Dockerfile from standard input", "more than 16 MiB, or not readable")
    }
    return .bytes(bytes)
  case let path?: return .path(path)
  }
}
