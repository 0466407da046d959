internal import Core
internal import Builder
internal import FileTree
internal import Linux
internal import Sandbox
internal import Store

extension Engine {
  /// Runs a command in a new container in the foreground, with this process's standard streams; returns its exit code.
  ///
  /// Throws a `Failure` with Docker's exit code: 125 for what Stave can't do, 126 for a command that can't be executed,
  /// 127 for one that is not found.
  public func run(_ request: RunRequest) async throws -> Int32 {
    do {
      var request = request
      if request.pull == .always { request.image = try await pull(request) }
      do {
        return try await withStore { [request] store in try Engine.runBlocking(request, store) }
      } catch is ImageMissing {
        request.remark?("unable to find image \"\(request.image)\" locally")
        request.image = try await pull(request)
        return try await withStore { [request] store in try Engine.runBlocking(request, store) }
      }
    } catch var failure as Failure {
      if failure.exitCode == 1 { failure.exitCode = 125 }
      throw failure
    } catch let error as SystemError {
      var failure = error.failure
      failure.exitCode = 125
      throw failure
    }
  }

  /// The store does not have the image, and it may be pulled.
  private struct ImageMissing: Error {}

  /// Pulls the request's image; returns its whole name.
  private func pull(_ request: RunRequest) async throws -> String {
    try await pull(request.image, request.registries) { request.transfer?($0) }.name
  }

  private static func runBlocking(_ request: RunRequest, _ store: Store) throws -> Int32 {
    if request.terminal, request.interactive, !StandardStream.input.isTerminal {
      throw Failure("", "the input device is not a TTY", hint: "leave out -t when input is no terminal")
    }
    if let path = request.idFile, try HostPath.status(path) != nil {
      throw Failure(
        "write container ID to \(path)", "the file exists", hint: "its container may still run: remove the file if not")
    }
    // Until the container is there, which keeps the image: one that runs for days is not to keep garbage.
    let lease = try store.lease()
    let image = try findImage(request, store)
    let plan = try ContainerPlan(request, image: image)
    let root = try store.root(of: image.config.diffIDs)
    // From here on signals are the container's: none ends us with one half made.
    let signals = try SignalQueue(Signal.forwardable)
    // A container that no longer reads is told by the write, and must not end us.
    Signal.pipe.ignore()
    defer { Signal.pipe.restoreDefault() }
    let name = try create(plan, request, store)
    let folder = store.containerPath(plan.id)
    lease.release()
    do {
      if let path = request.idFile { try HostPath.write(Array(plan.id.utf8), to: path) }
      let ended = try foreground(request, plan, store, folder, root, signals)
      try finish(request, plan, name, store, ended)
      return ended.code
    } catch {
      let code = (error as? Failure)?.exitCode ?? 125
      let end = End(code: code == 1 ? 125 : code, started: nil, error: "\(error)")
      try? finish(request, plan, name, store, end)
      throw error
    }
  }

  /// How a container ended; `started` is nil when its process never came to be.
  private struct End {
    var code: Int32
    var started: Timestamp?
    var error = ""
  }

  /// Puts the container on disk and returns its name. A random name that is taken gives way to another.
  private static func create(_ plan: ContainerPlan, _ request: RunRequest, _ store: Store) throws -> String {
    let now = Machine.now()
    var record = ContainerRecord(
      id: plan.id, name: request.name ?? ContainerName.random(), created: now, image: plan.image.id,
      imageName: request.image, config: plan.document(request))
    // Held by this process until it has one of its own: a prune meanwhile must not take it.
    if let own = ProcessIdentity(pid: Machine.processID) { record.state = .running(process: own, started: now) }
    while true {
      do {
        try store.createContainer(record)
        return record.name
      } catch let failure as Failure {
        guard request.name == nil, try store.isNameTaken(record.name) else { throw failure }
        record.name = ContainerName.random()
      }
    }
  }

  /// Removes the container or records its end. One that another command removed needs neither.
  private static func finish(
    _ request: RunRequest, _ plan: ContainerPlan, _ name: String, _ store: Store, _ end: End
  ) throws {
    do {
      if request.removeAfterwards {
        try store.removeContainer(plan.id, name: name)
      } else {
        try store.setState(
          plan.id, .exited(code: end.code, started: end.started, finished: Machine.now(), error: end.error))
      }
    } catch {
      if try HostPath.status(store.containerPath(plan.id)) != nil { throw error }
    }
  }

  private static func findImage(_ request: RunRequest, _ store: Store) throws -> StoredImage {
    do {
      return try store.resolve(request.image)
    } catch var failure as Failure {
      // An ID, or the beginning of one, is nothing to ask a registry for.
      if request.pull == .missing, failure.kind == .notFound, (try? ImageReference(request.image)) != nil {
        throw ImageMissing()
      }
      failure.exitCode = 125
      failure.hint = failure.hint ?? "\"stave pull \(request.image)\" brings it in"
      throw failure
    }
  }

  private static func foreground(
    _ request: RunRequest, _ plan: ContainerPlan, _ store: Store, _ folder: String,
    _ root: (lowers: [ProcessSpec.LowerLayer], view: MergedTree), _ signals: SignalQueue
  ) throws -> End {
    let spec = try plan.spec(request, folder: folder, lowers: root.lowers, view: root.view)
    let launcher = SandboxLauncher(stateDirectory: store.root + "/sandbox")
    let streams = try ForegroundStreams(request)
    let process = try launcher.launch(spec, stdio: streams.takeStdio())
    let started = Machine.now()
    if let identity = ProcessIdentity(pid: process.pid) {
      try store.setState(plan.id, .running(process: identity, started: started))
    }
    for warning in process.warnings { request.remark?("warning: \(warning)") }
    let status = try streams.run(process, signals)
    if status.code != 0, let call = process.refusedID {
      request.remark?("\(call): \(UserNamespace.facts.mappingHint)")
    }
    return End(code: status.code, started: started)
  }
}
