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
      return try await BlockingPool.shared.run { [root] in try Engine.runBlocking(request, root: root) }
    } catch var failure as Failure {
      if failure.exitCode == 1 { failure.exitCode = 125 }
      throw failure
    } catch let error as SystemError {
      var failure = error.failure
      failure.exitCode = 125
      throw failure
    }
  }

  private static func runBlocking(_ request: RunRequest, root: String) throws -> Int32 {
    if request.terminal, request.interactive, !StandardStream.input.isTerminal {
      throw Failure("", "the input device is not a TTY", exitCode: 1)
    }
    let store = try Store.open(root: root)
    let lease = try store.lease()
    defer { lease.release() }
    let image = try findImage(request.image, store)
    let plan = try ContainerPlan(request, image: image)
    let record = ContainerRecord(
      id: plan.id, name: plan.name, created: Machine.now(), image: image.id, imageName: request.image,
      config: plan.document(request))
    let folder = try store.createContainer(record)
    do {
      if let path = request.idFile { try HostPath.write(Array(plan.id.utf8), to: path) }
      let code = try foreground(request, plan, store, folder)
      if request.removeAfterwards { try store.removeContainer(plan.id) }
      return code
    } catch {
      if request.removeAfterwards {
        try? store.removeContainer(plan.id)
      } else {
        let code = (error as? Failure)?.exitCode ?? 125
        try? store.setState(
          plan.id,
          .exited(code: code == 1 ? 125 : code, started: nil, finished: Machine.now(), error: "\(error)"))
      }
      throw error
    }
  }

  private static func findImage(_ name: String, _ store: Store) throws -> StoredImage {
    do {
      return try store.resolve(name)
    } catch var failure as Failure {
      failure.exitCode = 125
      failure.hint = failure.hint ?? "there is no registry client yet; \"stave images\" lists what is here"
      throw failure
    }
  }

  private static func foreground(_ request: RunRequest, _ plan: ContainerPlan, _ store: Store, _ folder: String) throws
    -> Int32
  {
    let trees = try store.trees(of: plan.image.config.diffIDs)
    let view = OverlayTree(try trees.map { try Directory($0) })
    let spec = try plan.spec(request, folder: folder, trees: trees, view: view)
    let launcher = try SandboxLauncher(stateDirectory: store.root + "/sandbox")
    let streams = try ForegroundStreams(request)
    let signals = try SignalQueue(Signal.forwardable)
    let process = try launcher.launch(spec, stdio: streams.stdio)
    let started = Machine.now()
    if !request.removeAfterwards, let identity = ProcessIdentity(pid: process.pid) {
      try store.setState(plan.id, .running(process: identity, started: started))
    }
    let status = try streams.run(process, signals)
    if !request.removeAfterwards {
      try store.setState(plan.id, .exited(code: status.code, started: started, finished: Machine.now()))
    }
    return status.code
  }
}
