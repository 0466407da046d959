internal import Builder
internal import Core
internal import FileTree
internal import Linux
internal import Sandbox
internal import Store

/// What a `run` comes to: the image's config and the flags merged, before anything is made.
struct ContainerPlan: Sendable {
  let image: StoredImage
  let arguments: [String]
  let environment: [String]
  let workingDirectory: String
  let user: String
  let network: ProcessSpec.Network
  let networkName: String
  let binds: [Bind]
  let hostname: String
  let id: String

  /// One `-v HOST:CTR[:ro]`.
  struct Bind: Sendable, Equatable {
    var source: String
    var destination: String
    var isReadonly: Bool
  }

  static let defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// Merges `request` with the image's config. Errors are usage errors: exit code 125.
  init(_ request: RunRequest, image: StoredImage) throws {
    let config = image.config.config
    self.image = image
    id = Store.makeContainerID()
    (network, networkName) = try Self.network(request.network)
    hostname = request.hostname ?? (network == .host ? Machine.hostName : String(id.prefix(12)))
    var entrypoint = config.entrypoint ?? []
    var command = config.cmd ?? []
    if let given = request.entrypoint {
      entrypoint = given.isEmpty ? [] : [given]
      command = []
    }
    if !request.command.isEmpty { command = request.command }
    arguments = entrypoint + command
    guard !arguments.isEmpty else {
      throw Failure("run \(request.image)", "no command specified", hint: "the image has none: add one after its name")
    }
    environment = Self.environment(request, config, hostname: hostname)
    workingDirectory = request.workingDirectory ?? (config.workingDir.isEmpty ? "/" : config.workingDir)
    guard workingDirectory.hasPrefix("/") else {
      throw Failure("use working directory \(workingDirectory)", "it must be an absolute path")
    }
    user = request.user ?? config.user
    binds = try request.volumes.map { try Self.bind($0) }
  }

  private static func network(_ name: String?) throws -> (ProcessSpec.Network, String) {
    switch name {
    case nil, "host", "default": (.host, "host")
    case "none": (.none, "none")
    case let name?:
      throw Failure.notSupportedYet(
        "run --network \(name)", hint: "bridge networks come later; use --network host (the default) or none")
    }
  }

  /// PATH, HOSTNAME, TERM; then the image's; then `-e`, which replaces.
  private static func environment(_ request: RunRequest, _ config: ContainerConfig, hostname: String) -> [String] {
    var merged = ContainerConfig()
    merged.env = [defaultPath, "HOSTNAME=\(hostname)"]
    if request.terminal { merged.env.append("TERM=xterm") }
    // An image's variable without a value is none; only `-e NAME` takes the client's.
    for entry in config.env.filter({ $0.contains("=") }) + request.environment {
      if let equals = entry.firstIndex(of: "=") {
        merged.setEnvironment(String(entry[..<equals]), String(entry[entry.index(after: equals)...]))
      } else if let value = request.clientEnvironment.last(where: { $0.hasPrefix(entry + "=") }) {
        merged.setEnvironment(entry, String(value.dropFirst(entry.count + 1)))
      } else {
        merged.env.removeAll { $0.hasPrefix(entry + "=") }
      }
    }
    return merged.env
  }

  private static func bind(_ text: String) throws -> Bind {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 2 else {
      throw Failure.notSupportedYet(
        "run -v \(text)", hint: "anonymous volumes come later; name a host directory: -v HOST:\(text)")
    }
    guard parts.count <= 3, parts[1].hasPrefix("/"), parts[1] != "/" else {
      throw Failure("use volume \"\(text)\"", "expected HOST:CONTAINER[:ro], the container's path absolute")
    }
    guard parts[0].hasPrefix("/") || parts[0].hasPrefix(".") else {
      throw Failure.notSupportedYet(
        "run -v \(text)", hint: "named volumes come later; a host directory begins with / or .")
    }
    var isReadonly = false
    for option in parts.count == 3 ? parts[2].split(separator: ",").map(String.init) : [] {
      switch option {
      case "ro": isReadonly = true
      case "rw", "rprivate", "z", "Z": break
      default: throw Failure.notSupportedYet("run -v \(text)", hint: "option \(option) comes later")
      }
    }
    return Bind(source: parts[0], destination: parts[1], isReadonly: isReadonly)
  }

  /// The whole configuration as it is kept with the container.
  func document(_ request: RunRequest) -> JSON {
    JSON.members([
      "arguments": .strings(arguments), "environment": .strings(environment),
      "workingDirectory": .string(workingDirectory), "user": .string(user), "network": .string(networkName),
      "hostname": .string(hostname), "terminal": .bool(request.terminal), "interactive": .bool(request.interactive),
      "autoRemove": .bool(request.removeAfterwards), "readonlyRoot": .bool(request.readonlyRoot),
      "privileged": .bool(request.privileged),
      "labels": .object(
        image.config.config.labels.merging(request.labels.map { ($0.name, $0.value) }) { $1 }
          .mapValues { .string($0) }),
      "binds": .strings(binds.map { "\($0.source):\($0.destination)" + ($0.isReadonly ? ":ro" : "") }),
    ])
  }

  /// The process in the container's directory `folder`, on the layers `lowers` (topmost first).
  func spec(
    _ request: RunRequest, folder: String, lowers: [ProcessSpec.LowerLayer], view: MergedTree
  ) throws -> ProcessSpec {
    let account = try UserLookup(in: view).processUser(user)
    var lowers = lowers
    if lowers.isEmpty {
      try HostPath.makeDirectories("\(folder)/empty")
      lowers = [.tree("\(folder)/empty")]
    }
    var spec = ProcessSpec.dockerDefault(
      arguments: arguments, environment: environment, workingDirectory: workingDirectory,
      user: ProcessSpec.User(uid: account.uid, gid: account.gid, additionalGIDs: account.additionalGids),
      root: .overlay(lowers: lowers, upper: "\(folder)/upper", work: "\(folder)/work"),
      network: network, hostname: hostname, terminal: request.terminal)
    if !environment.contains(where: { $0.hasPrefix("HOME=") }) { spec.environment.append("HOME=\(account.home)") }
    spec.nameFiles = try NameFiles.write(
      in: folder, hostname: hostname, addHosts: request.addHosts, hasNetwork: network == .host,
      copiesHosts: network == .host)
    spec.nameFiles.isReadonly = request.readonlyRoot
    spec.readonlyRoot = request.readonlyRoot
    spec.resources = request.resources
    spec.cgroupPath = "stave/\(id)"
    try applySecurity(request, to: &spec)
    for bind in binds {
      let source = try hostDirectory(bind.source)
      spec.mounts.append(.bind(source, at: bind.destination, readonly: bind.isReadonly))
    }
    return spec
  }

  private func applySecurity(_ request: RunRequest, to spec: inout ProcessSpec) throws {
    // What this process lacks it can't give: virtual machines often hold some back, CAP_SYS_RESOURCE for one.
    let own = Machine.capabilities
    var bounding = own.intersection(
      CapabilityMask(request.privileged ? Capability.allCases : spec.capabilities.bounding))
    func capabilities(_ names: [String]) throws -> [Capability] {
      try names.flatMap { name -> [Capability] in
        if name.uppercased() == "ALL" { return Capability.allCases }
        guard let capability = Capability(name: name) else {
          throw Failure(
            "use capability \(name)", "no such capability" + didYouMean(name, in: Capability.allCases.map(\.name)))
        }
        return [capability]
      }
    }
    var added = CapabilityMask(try capabilities(request.capabilitiesAdded))
    let dropped = CapabilityMask(try capabilities(request.capabilitiesDropped))
    // As Docker: what is added outdoes what is dropped, but all of them less some are those less some.
    let addsAll = request.capabilitiesAdded.contains { $0.uppercased() == "ALL" }
    if addsAll { added.formIntersection(own) }
    if let missing = added.subtracting(own).capabilities.first {
      throw Failure("use capability \(missing.name)", "it is not available to Stave itself")
    }
    let dropsAll = request.capabilitiesDropped.contains { $0.uppercased() == "ALL" }
    bounding = addsAll && !dropsAll ? added.subtracting(dropped) : bounding.subtracting(dropped).union(added)
    let sorted = bounding.capabilities
    let granted = spec.user.uid == 0 ? sorted : []
    spec.capabilities = CapabilitySets(bounding: sorted, effective: granted, permitted: granted)
    if request.privileged {
      spec.seccomp = .unconfined
      spec.maskedPaths = []
      spec.readonlyPaths = []
      spec.allowsAllDevices = true
    }
    for option in request.securityOptions {
      switch option {
      case "no-new-privileges", "no-new-privileges=true", "no-new-privileges:true": spec.noNewPrivileges = true
      case "systempaths=unconfined", "systempaths:unconfined":
        spec.maskedPaths = []
        spec.readonlyPaths = []
      case "seccomp=unconfined", "seccomp:unconfined": spec.seccomp = .unconfined
      default: throw Failure.notSupportedYet("run --security-opt \(option)")
      }
    }
  }

  /// The absolute path of a bind's source; a missing one is made as a directory, as Docker does.
  private func hostDirectory(_ source: String) throws -> String {
    if try HostPath.status(source) == nil { try HostPath.makeDirectories(source) }
    return try HostPath.canonical(source)
  }
}
