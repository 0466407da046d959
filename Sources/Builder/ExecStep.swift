public import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Sandbox
internal import Store
internal import Synchronization

/// A RUN whose process ended with an error.
public struct ExecFailure: Error, Sendable {
  /// `process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`.
  public let message: String
  /// `[2/3] RUN exit 3`.
  public let title: String
  public let diagnostic: Diagnostic
  /// The last lines of its output.
  public let logTail: [String]
  /// What to do about it; nil where only the command knows.
  public let hint: String?
  /// The file with the whole output.
  public let logPath: String?
  public let exitCode: Int32
}

/// One RUN: an overlay of the base's layers and the process in its sandbox. The upper directory is packed afterwards.
struct ExecStep: Sendable {
  private let executor: StepExecutor
  private let vertex: Vertex
  private let exec: Op.Exec
  private let base: LayerStack
  private let keys: StepKeys

  init(_ executor: StepExecutor, _ vertex: Vertex, _ exec: Op.Exec, base: LayerStack, keys: StepKeys) {
    self.executor = executor
    self.vertex = vertex
    self.exec = exec
    self.base = base
    self.keys = keys
  }

  func run() async throws -> Executed<LayerStack> {
    let stop = ProcessStop()
    return try await withTaskCancellationHandler {
      try await BlockingPool.shared.run { try run(stop) }
    } onCancel: {
      stop.stop()
    }
  }

  /// Blocks until the process has ended, by itself or by `stop`.
  private func run(_ stop: ProcessStop) throws -> Executed<LayerStack> {
    let started = Machine.now()
    let folder = try StepFolder(executor.store, executor.removal)
    var places = try executor.lowers(base)
    let (process, log) = try launch(folder, places)
    stop.adopt(process)
    places.uses = []
    do {
      try log.drain()
    } catch {
      // A log that can't be written ends the step: nothing may run on in a folder that goes.
      try? process.kill()
      _ = try? process.wait()
      throw error
    }
    let status = try process.wait()
    // The overlay went with its mount namespace: nobody looks at the layers below any more.
    withExtendedLifetime(places.folders) {}
    try Task.checkCancellation()
    guard status.code == 0 else { throw failure(status, log, refusedID: process.refusedID) }
    for target in process.createdTargets.reversed() { try folder.upperDirectory.removeTree(target) }
    return try executor.finished(
      FinishedStep(
        vertex: vertex, keys: keys, base: base, started: started,
        durations: ["run": Machine.now().nanoseconds(since: started)], folder: folder,
        logPath: log.hasOutput ? log.path : nil), packing: folder, latest: exec.latest)
  }

  private func launch(_ folder: StepFolder, _ places: StackPlaces) throws -> (RunningProcess, StepLog) {
    let spec = try spec(folder, places)
    let log = try StepLog(path: folder.log) { stream, bytes in executor.reporter.log(vertex.id, stream, bytes) }
    do {
      let process = try executor.launcher.launch(spec, stdio: log.takeStdio())
      executor.remark(process.warnings)
      return (process, log)
    } catch var failure as Failure {
      // The sandbox's codes are for the command of a container: a build that fails ends with 1.
      if (126...127).contains(failure.exitCode), let platform = executor.foreignPlatform(of: vertex) {
        failure.action = "\(vertex.title): " + failure.action
        failure.reason += ": it is a step for \(platform), and this machine is \(Platform.current)"
        failure.hint = BinaryFormats.advice(for: platform)
      }
      failure.exitCode = 1
      throw failure
    }
  }

  private func spec(_ folder: StepFolder, _ places: StackPlaces) throws -> ProcessSpec {
    let lowers = places.lowers.isEmpty ? [.tree(try folder.makeEmpty())] : places.lowers
    let view = try executor.view(base)
    let user = try UserLookup(in: view).processUser(exec.user)
    var spec = ProcessSpec.dockerDefault(
      arguments: exec.argv,
      root: .overlay(lowers: lowers, upper: folder.upper, work: folder.work),
      network: exec.network == .none ? .none : .host, hostname: SharedNameFiles.hostname)
    spec.environment = exec.env + exec.proxyEnv
    if !spec.environment.contains(where: { $0.hasPrefix("HOME=") }) { spec.environment.append("HOME=\(user.home)") }
    spec.workingDirectory = exec.cwd
    spec.user = ProcessSpec.User(uid: user.uid, gid: user.gid, additionalGIDs: user.additionalGids)
    spec.nameFiles = try executor.nameFiles.files(addHosts: exec.addHosts, hasNetwork: exec.network != .none)
    spec.resources = executor.resources
    for (number, file) in exec.files.enumerated() {
      let path = "\(folder.path)/file-\(number)"
      let written = try OpenFile(path, .create)
      try written.write(file.content)
      try written.setMode(UInt16(truncatingIfNeeded: file.mode))
      spec.mounts.append(.bind(path, at: file.path))
    }
    return spec
  }

  /// What to do where the store's disk has no room, which may be why a process failed; else nil.
  private var fullDisk: String? {
    guard let space = try? HostPath.space(executor.store.root), space.available < 1 << 20 else { return nil }
    return "no space left on device: \(Failure.makeRoom)"
  }

  private func failure(_ status: ExitStatus, _ log: StepLog, refusedID: String?) -> ExecFailure {
    let command = exec.argv.joined(separator: " ")
    let message = "process \"\(command)\" did not complete successfully: exit code: \(status.code)"
    // The process's failure is what matters, with or without a place for its log.
    let kept = try? executor.store.keepLog(from: log.path, key: (keys.content ?? keys.definition).digest)
    return ExecFailure(
      message: message, title: vertex.title, diagnostic: executor.diagnostic(vertex, message), logTail: log.tail,
      hint: fullDisk ?? refusedID.map { "\($0): \(UserNamespace.facts.mappingHint)" }, logPath: kept,
      exitCode: status.code)
  }
}

/// Ends a step's process when its task is cancelled, before it was started or after.
private final class ProcessStop: Sendable {
  private struct State {
    var isStopped = false
    var process: RunningProcess?
  }
  private let state = Mutex(State())

  /// Takes the process that was started.
  func adopt(_ process: RunningProcess) {
    let isStopped = state.withLock { state in
      state.process = process
      return state.isStopped
    }
    if isStopped { try? process.kill() }
  }

  /// A process that has ended already needs no signal.
  func stop() {
    let process = state.withLock { state in
      state.isStopped = true
      return state.process
    }
    try? process?.kill()
  }
}
