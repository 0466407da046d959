internal import Core
internal import Linux
internal import Store

/// Docker's `container inspect` document.
struct ContainerDocument {
  private let record: ContainerRecord
  private let folder: String

  /// The document of `record`, whose directory is `folder`.
  init(_ record: ContainerRecord, folder: String) {
    self.record = record
    self.folder = folder
  }

  var json: JSON {
    let config = record.config
    let arguments = config["arguments"]?.array?.compactMap(\.string) ?? []
    return JSON.members([
      "Id": .string(record.id), "Name": .string("/" + record.name), "Created": .string(record.created.rfc3339),
      "Path": .string(arguments.first ?? ""), "Args": .strings(arguments.dropFirst()), "State": state,
      "Image": .string(record.image?.text ?? ""), "HostnamePath": .string("\(folder)/hostname"),
      "HostsPath": .string("\(folder)/hosts"), "ResolvConfPath": .string("\(folder)/resolv.conf"),
      "RestartCount": 0, "Driver": "overlay", "Platform": "linux",
      "HostConfig": .object([
        "NetworkMode": config["network"] ?? "host", "AutoRemove": config["autoRemove"] ?? false,
        "Binds": config["binds"] ?? .array([]), "ReadonlyRootfs": config["readonlyRoot"] ?? false,
        "Privileged": config["privileged"] ?? false,
      ]),
      "Mounts": .array((config["binds"]?.array ?? []).compactMap(\.string).map { Self.mount($0) }),
      "Config": JSON.members([
        "Hostname": config["hostname"], "User": config["user"], "Tty": config["terminal"],
        "OpenStdin": config["interactive"], "Env": config["environment"], "Cmd": config["arguments"],
        "WorkingDir": config["workingDirectory"], "Image": .string(record.imageName),
        "Labels": config["labels"] ?? .object([:]),
      ]),
    ])
  }

  private var state: JSON {
    var pid: Int64 = 0
    var code: Int64 = 0
    var reason = ""
    var started: Timestamp?
    var finished: Timestamp?
    switch record.state {
    case .created: break
    case .running(let process, let since):
      pid = Int64(process.pid)
      started = since
    case .exited(let exitCode, let since, let at, let error):
      code = Int64(exitCode)
      started = since
      finished = at
      reason = error
    }
    let never = "0001-01-01T00:00:00Z"
    return .object([
      "Status": .string(record.state.status), "Running": .bool(record.state.isRunning), "Paused": false,
      "Restarting": false, "OOMKilled": false, "Dead": false, "Pid": .int(pid), "ExitCode": .int(code),
      "Error": .string(reason), "StartedAt": .string(started?.rfc3339 ?? never),
      "FinishedAt": .string(finished?.rfc3339 ?? never),
    ])
  }

  private static func mount(_ bind: String) -> JSON {
    let parts = bind.split(separator: ":").map(String.init)
    return .object([
      "Type": "bind", "Source": .string(parts.first ?? ""),
      "Destination": .string(parts.count > 1 ? parts[1] : ""), "RW": .bool(parts.last != "ro"),
      "Propagation": "rprivate",
    ])
  }
}
