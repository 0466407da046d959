extension ImageConfig {
  /// Reads a config document; throws a `Failure` that names the member at fault. Unknown members are ignored.
  public init(json: JSON) throws {
    let what = "read image config"
    guard json.object != nil else { throw Failure(what, "not an object") }
    self.init(
      platform: Platform(
        os: try json.required("os", what), architecture: try json.required("architecture", what),
        variant: json["variant"]?.string ?? ""))
    created = try json.timestamp("created", what)
    author = try json.optionalString("author", what)
    osVersion = json["os.version"]?.string ?? ""
    osFeatures = try json.stringArray("os.features", what) ?? []
    guard let rootfs = json["rootfs"], rootfs.object != nil else { throw Failure(what, "rootfs is missing") }
    guard rootfs["type"]?.string == "layers" else { throw Failure(what, "rootfs.type is not \"layers\"") }
    guard let diffs = try rootfs.stringArray("diff_ids", what) else {
      throw Failure(what, "rootfs.diff_ids is missing")
    }
    diffIDs = try diffs.map { try Digest($0) }
    if let config = json["config"], !config.isNull { self.config = try ContainerConfig(json: config) }
    if let entries = json["history"], !entries.isNull {
      guard let entries = entries.array else { throw Failure(what, "history is no array") }
      history = try entries.map { entry in
        guard entry.object != nil else { throw Failure(what, "history holds a value that is no object") }
        for key in ["created_by", "author", "comment"] {
          if let member = entry[key], member.string == nil { throw Failure(what, "history.\(key) is no string") }
        }
        if let empty = entry["empty_layer"], empty.bool == nil {
          throw Failure(what, "history.empty_layer is no boolean")
        }
        return History(
          created: try entry.timestamp("created", what), createdBy: entry["created_by"]?.string ?? "",
          author: entry["author"]?.string ?? "", comment: entry["comment"]?.string ?? "",
          isEmptyLayer: entry["empty_layer"]?.bool ?? false)
      }
    }
  }

  public var json: JSON {
    JSON.members([
      "architecture": .string(platform.architecture), "os": .string(platform.os),
      "variant": JSON.nonEmpty(platform.variant), "os.version": JSON.nonEmpty(osVersion),
      "os.features": JSON.nonEmpty(osFeatures), "author": JSON.nonEmpty(author),
      "created": created.map { .string($0.rfc3339) }, "config": config.json,
      "rootfs": .object(["type": "layers", "diff_ids": .strings(diffIDs.map(\.text))]),
      "history": history.isEmpty
        ? nil
        : .array(
          history.map {
            JSON.members([
              "created": $0.created.map { .string($0.rfc3339) }, "created_by": JSON.nonEmpty($0.createdBy),
              "author": JSON.nonEmpty($0.author), "comment": JSON.nonEmpty($0.comment),
              "empty_layer": $0.isEmptyLayer ? true : nil,
            ])
          }),
    ])
  }
}

extension ContainerConfig {
  /// Reads the `config` member; throws a `Failure` that names the member at fault.
  public init(json: JSON) throws {
    let what = "read image config"
    guard json.object != nil else { throw Failure(what, "config is no object") }
    self.init()
    user = try json.optionalString("User", what)
    exposedPorts = try json.keySet("ExposedPorts", what)
    env = try json.stringArray("Env", what) ?? []
    entrypoint = try json.stringArray("Entrypoint", what)
    cmd = try json.stringArray("Cmd", what)
    argsEscaped = json["ArgsEscaped"]?.bool ?? false
    volumes = try json.keySet("Volumes", what)
    workingDir = try json.optionalString("WorkingDir", what)
    labels = try json.stringMap("Labels", what)
    stopSignal = try json.optionalString("StopSignal", what)
    stopTimeout = json["StopTimeout"]?.int
    onBuild = try json.stringArray("OnBuild", what) ?? []
    shell = try json.stringArray("Shell", what)
    if let check = json["Healthcheck"], !check.isNull {
      healthcheck = Healthcheck(
        test: try check.stringArray("Test", what) ?? [], interval: check["Interval"]?.int ?? 0,
        timeout: check["Timeout"]?.int ?? 0, startPeriod: check["StartPeriod"]?.int ?? 0,
        startInterval: check["StartInterval"]?.int ?? 0, retries: check["Retries"]?.int ?? 0)
    }
  }

  public var json: JSON {
    func keys(_ set: Set<String>) -> JSON? {
      set.isEmpty ? nil : .object(Dictionary(uniqueKeysWithValues: set.map { ($0, JSON.object([:])) }))
    }
    func positive(_ value: Int64) -> JSON? { value == 0 ? nil : .int(value) }
    return JSON.members([
      "User": JSON.nonEmpty(user), "ExposedPorts": keys(exposedPorts), "Env": JSON.nonEmpty(env),
      "Entrypoint": entrypoint.map { .strings($0) }, "Cmd": cmd.map { .strings($0) },
      "ArgsEscaped": argsEscaped ? true : nil, "Volumes": keys(volumes), "WorkingDir": JSON.nonEmpty(workingDir),
      "Labels": labels.isEmpty ? nil : .object(labels.mapValues { .string($0) }),
      "StopSignal": JSON.nonEmpty(stopSignal), "StopTimeout": stopTimeout.map { .int($0) },
      "OnBuild": JSON.nonEmpty(onBuild), "Shell": shell.map { .strings($0) },
      "Healthcheck": healthcheck.map {
        JSON.members([
          "Test": JSON.nonEmpty($0.test), "Interval": positive($0.interval), "Timeout": positive($0.timeout),
          "StartPeriod": positive($0.startPeriod), "StartInterval": positive($0.startInterval),
          "Retries": positive($0.retries),
        ])
      },
    ])
  }
}

extension JSON {
  fileprivate func timestamp(_ key: String, _ what: String) throws -> Timestamp? {
    guard let member = self[key], !member.isNull else { return nil }
    guard let time = member.string.flatMap({ Timestamp(rfc3339: $0) }) else {
      throw Failure(what, "\(key) is no RFC 3339 time")
    }
    return time
  }

  fileprivate func optionalString(_ key: String, _ what: String) throws -> String {
    guard let member = self[key], !member.isNull else { return "" }
    guard let text = member.string else { throw Failure(what, "\(key) is no string") }
    return text
  }

  fileprivate func keySet(_ key: String, _ what: String) throws -> Set<String> {
    guard let member = self[key], !member.isNull else { return [] }
    guard let object = member.object else { throw Failure(what, "\(key) is no object") }
    return Set(object.keys)
  }
}
