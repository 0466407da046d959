public import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Sandbox
internal import Store

/// A RUN whose process ended with an error.
public struct ExecFailure: Error, Sendable {
  /// `process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`.
  public let message: String
  /// `[2/3] RUN exit 3`.
  public let title: String
  public let diagnostic: Diagnostic
  /// The last lines of its output.
  public let logTail: [String]
  /// The file with the whole output.
  public let logPath: String?
  public let exitCode: Int32
}

/// One RUN: an overlay of the base's trees, the process in its sandbox, and the upper directory packed as a layer.
struct ExecStep: Sendable {
  private let executor: StepExecutor
  private let vertex: Vertex
  private let exec: Op.Exec
  private let base: LayerStack
  private let keys: StepKeys
  /// Hostname of a RUN's process, as BuildKit has it.
  private static let hostname = "buildkitsandbox"

  init(_ executor: StepExecutor, _ vertex: Vertex, _ exec: Op.Exec, base: LayerStack, keys: StepKeys) {
    self.executor = executor
    self.vertex = vertex
    self.exec = exec
    self.base = base
    self.keys = keys
  }

  func run() async throws -> LayerStack {
    let folder = try await BlockingPool.shared.run { try StepFolder(executor.store) }
    let result: Result<LayerStack, any Error>
    do {
      result = .success(try await run(in: folder))
    } catch {
      result = .failure(error)
    }
    await BlockingPool.shared.run { folder.remove() }
    return try result.get()
  }

  private func run(in folder: StepFolder) async throws -> LayerStack {
    let started = Machine.now()
    let (process, log) = try await BlockingPool.shared.run { try launch(folder) }
    let status = try await withTaskCancellationHandler {
      try await BlockingPool.shared.run {
        do {
          try log.drain()
        } catch {
          // A log that can't be written ends the step: nothing may run on in a folder that goes.
          try? process.kill()
          _ = try? process.wait()
          throw error
        }
        return try process.wait()
      }
    } onCancel: {
      // A process that has ended already needs no signal.
      try? process.kill()
    }
    try Task.checkCancellation()
    let ran = Machine.now()
    guard status.code == 0 else { throw await BlockingPool.shared.run { failure(status, log) } }
    return try await BlockingPool.shared.run {
      let layer = try pack(folder, excluding: process.createdTargets)
      return try executor.record(
        vertex, base, layer: layer, keys: keys, started: started,
        durations: ["run": ran.nanoseconds(since: started), "pack": Machine.now().nanoseconds(since: ran)],
        logPath: log.path)
    }
  }

  private func launch(_ folder: StepFolder) throws -> (RunningProcess, StepLog) {
    let spec = try spec(folder)
    let log = try StepLog(path: folder.log) { stream, bytes in executor.reporter.log(vertex.id, stream, bytes) }
    do {
      return (try executor.launcher.launch(spec, stdio: log.takeStdio()), log)
    } catch var failure as Failure {
      // The sandbox's codes are for the command of a container: a build that fails ends with 1.
      failure.exitCode = 1
      throw failure
    }
  }

  private func spec(_ folder: StepFolder) throws -> ProcessSpec {
    var lowers = try executor.trees(base)
    if lowers.isEmpty { lowers = [folder.empty] }
    let view = try executor.view(base)
    let user = try UserLookup(in: view).processUser(exec.user)
    var spec = ProcessSpec.dockerDefault(
      arguments: exec.argv,
      root: .overlay(lowers: lowers.map { .tree($0) }, upper: folder.upper, work: folder.work),
      network: exec.network == .none ? .none : .host, hostname: Self.hostname)
    spec.environment = exec.env + exec.proxyEnv
    if !spec.environment.contains(where: { $0.hasPrefix("HOME=") }) { spec.environment.append("HOME=\(user.home)") }
    spec.workingDirectory = exec.cwd
    spec.user = ProcessSpec.User(uid: user.uid, gid: user.gid, additionalGIDs: user.additionalGids)
    spec.nameFiles = try NameFiles.write(
      in: folder.path, hostname: Self.hostname, addHosts: exec.addHosts, hasNetwork: exec.network != .none)
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

  private func pack(_ folder: StepFolder, excluding targets: [TreePath]) throws -> Digest {
    let writer = try executor.store.layerWriter()
    let upper = try Directory(folder.upper)
    for target in targets.reversed() { try upper.removeTree(target) }
    try packUpper(upper, into: writer.tar)
    let layer = try writer.commit()
    try executor.store.adoptTree(layer.diffID, from: folder.upper)
    return layer.diffID
  }

  private func failure(_ status: ExitStatus, _ log: StepLog) -> ExecFailure {
    let command = exec.argv.joined(separator: " ")
    let message = "process \"\(command)\" did not complete successfully: exit code: \(status.code)"
    // The process's failure is what matters, with or without a place for its log.
    let kept = try? executor.store.keepLog(from: log.path, key: keys.content.digest)
    return ExecFailure(
      message: message, title: vertex.title, diagnostic: executor.diagnostic(vertex, message), logTail: log.tail,
      logPath: kept, exitCode: status.code)
  }
}
