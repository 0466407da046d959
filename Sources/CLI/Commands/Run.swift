internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave run`.
  static func run(_ path: [String]) -> Command {
    Command(
      path: path, usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]", summary: "Create and run a container from an image",
      details: HelpText.networkNote
        + "\nThe exit code is the command's; 125 if Stave failed, 126 if the command can't be executed, 127 if it"
        + "\nwas not found.",
      flags: runFlags, arity: .atLeast(1), isInterspersed: false, argumentKind: .images, action: runContainer)
  }
}

private func runContainer(_ call: Invocation) async throws -> Int32 {
  do {
    var request = try runRequest(call)
    let console = call.console
    request.remark = { console.error("stave: \(SafeText.line($0))\n") }
    if !call.bool("quiet") { request.transfer = TransferPrinter(console, to: .error).handle }
    return try await call.engine.run(request)
  } catch var failure as Failure where failure.exitCode == 1 {
    failure.exitCode = 125
    throw failure
  } catch let error as SystemError {
    var failure = error.failure
    failure.exitCode = 125
    throw failure
  }
}

private func runRequest(_ call: Invocation) throws -> RunRequest {
  var request = RunRequest(image: call.arguments[0], command: Array(call.arguments.dropFirst()))
  request.name = call.string("name")
  request.removeAfterwards = call.bool("rm")
  request.interactive = call.bool("interactive")
  request.terminal = call.bool("tty")
  for path in call.list("env-file") { request.environment += try lines(ofFile: path).compactMap(variableLine(call)) }
  request.environment += try call.list("env").map { text in
    if text.isEmpty || text.hasPrefix("=") { throw call.usage("invalid environment variable: \(text)") }
    return text
  }
  request.workingDirectory = call.string("workdir")
  request.user = call.string("user")
  request.volumes = call.list("volume")
  request.entrypoint = call.string("entrypoint")
  request.network = call.string("network")
  request.hostname = call.string("hostname")
  for path in call.list("label-file") {
    request.labels += try lines(ofFile: path).map { line in
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
  }
  request.labels += try call.pairs("label")
  request.readonlyRoot = call.bool("read-only")
  request.addHosts = call.list("add-host")
  request.resources = try resources(call)
  request.capabilitiesAdded = call.list("cap-add")
  request.capabilitiesDropped = call.list("cap-drop")
  request.privileged = call.bool("privileged")
  request.securityOptions = call.list("security-opt")
  request.idFile = call.string("cidfile")
  request.clientEnvironment = call.environment
  request.pull = call.string("pull").flatMap(PullPolicy.init(rawValue:)) ?? .missing
  request.registries = call.registryOptions
  try refuseLaterValues(call)
  return request
}

/// Flags of which only one value is there.
private func refuseLaterValues(_ call: Invocation) throws {
  if let policy = call.string("restart"), policy != "no", !policy.isEmpty {
    throw Failure.notSupportedYet("--restart \(policy)")
  }
  if call.has("sig-proxy"), !call.bool("sig-proxy") { throw Failure.notSupportedYet("--sig-proxy=false") }
}

private func resources(_ call: Invocation) throws -> ResourceLimits {
  var out = ResourceLimits()
  func bytes(_ name: String) throws -> Int64? {
    guard let text = call.string(name) else { return nil }
    if name == "memory-swap", text == "-1" { return -1 }
    guard let value = ByteSize.parse(text) else {
      throw call.usage("invalid argument \"\(text)\" for \"--\(name)\" flag: expected a size such as 512m")
    }
    return value == 0 ? nil : value
  }
  out.memory = try bytes("memory")
  out.memorySwap = try bytes("memory-swap")
  out.memoryReservation = try bytes("memory-reservation")
  out.cpuPeriod = call.int("cpu-period").map(Int64.init)
  out.cpuQuota = call.int("cpu-quota").map(Int64.init)
  out.cpuShares = call.int("cpu-shares").map(Int64.init)
  out.pids = call.int("pids-limit").map(Int64.init)
  out.cpusetCPUs = call.string("cpuset-cpus")
  out.cpusetMems = call.string("cpuset-mems")
  if let text = call.string("cpus") {
    guard let cpus = Double(text), cpus > 0, cpus <= 100_000 else {
      throw call.usage("invalid argument \"\(text)\" for \"--cpus\" flag: expected a number such as 1.5")
    }
    if out.cpuQuota != nil || out.cpuPeriod != nil {
      throw call.usage("conflicting options: --cpus, and --cpu-period or --cpu-quota")
    }
    out.cpuPeriod = 100_000
    out.cpuQuota = Int64((cpus * 100_000).rounded())
  }
  return out
}

/// The lines of a file of variables or labels, without comments and empty ones.
private func lines(ofFile path: String) throws -> [String] {
  let text = String(decoding: try HostPath.read(path, limit: 16 << 20), as: UTF8.self)
  return text.split(whereSeparator: \.isNewline).compactMap { line in
    let trimmed = line.drop { $0 == " " || $0 == "\t" }
    return trimmed.isEmpty || trimmed.hasPrefix("#") ? nil : String(trimmed)
  }
}

/// `NAME=value` as it is; `NAME` only if the client has it.
private func variableLine(_ call: Invocation) -> (String) throws -> String? {
  { line in
    if line.hasPrefix("=") { throw call.usage("invalid environment variable: \(line)") }
    return line.contains("=") || call.variable(line) != nil ? line : nil
  }
}
