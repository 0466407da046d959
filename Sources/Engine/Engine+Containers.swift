public import Core
internal import Linux
internal import Store

extension Engine {
  /// Containers, newest first; without `all` only those that run.
  public func containers(all: Bool, withSize: Bool) async throws -> [ContainerSummary] {
    try await withStore { store in
      try store.containers().filter { all || $0.state.isRunning }.map { record in
        Engine.summary(
          record, size: withSize ? try TreeSize(of: store.containerPath(record.id) + "/upper").content : nil)
      }
    }
  }

  static func summary(_ record: ContainerRecord, size: Int64?) -> ContainerSummary {
    ContainerSummary(
      id: record.id, name: record.name, image: record.imageName, imageID: record.image ?? Digest.sha256(""),
      command: record.config["arguments"]?.array?.compactMap(\.string) ?? [], created: record.created,
      state: ContainerSummary.State(record.state),
      labels: (record.config["labels"]?.object ?? [:]).compactMapValues(\.string), size: size)
  }

  /// Docker's `inspect` document of the container called `name`.
  public func inspectContainer(_ name: String) async throws -> JSON {
    try await withStore { store in
      let record = try store.container(name)
      return ContainerDocument(record, folder: store.containerPath(record.id)).json
    }
  }

  /// Removes a container; one that runs only with `force`, which kills it first. Returns the name as given.
  public func removeContainer(_ name: String, force: Bool) async throws -> String {
    try await withStore { store in
      let record = try store.container(name)
      if case .running(let process, _) = record.state {
        guard force else {
          throw Failure(
            "remove container \(name)", "it is running", hint: "stop it first, or remove it with --force")
        }
        try Engine.end(process)
      }
      do {
        try store.removeContainer(record.id)
      } catch {
        // That of `run --rm` is removed by its own command as soon as it ends.
        if try HostPath.status(store.containerPath(record.id)) != nil { throw error }
      }
      return name
    }
  }

  /// Kills a process and waits until it is gone, at most ten seconds.
  private static func end(_ process: ProcessIdentity) throws {
    do {
      if process.isAlive { try Signal.kill.send(to: process.pid) }
    } catch let error as SystemError where error.code == .notPermitted {
      // Of a user namespace beside ours: the command that made it is ours, and its container dies with it.
      guard let parent = process.parent, process.isAlive else { throw error }
      try Signal.kill.send(to: parent)
    } catch let error as SystemError where error.code == .noProcess {
      return
    }
    for _ in 0..<1000 {
      if !process.isAlive { return }
      _ = try Poll.readable([], milliseconds: 10)
    }
    throw Failure("kill process \(process.pid)", "it did not end within 10 seconds")
  }
}

extension ContainerSummary.State {
  init(_ state: ContainerState) {
    self =
      switch state {
      case .created: .created
      case .running(let process, let started): .running(pid: process.pid, since: started)
      case .exited(let code, _, let finished, _): .exited(code: code, at: finished)
      }
  }
}
