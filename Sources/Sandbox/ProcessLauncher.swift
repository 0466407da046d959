public import Core
public import Linux

/// The door of the sandbox: from a `ProcessSpec` to a running process.
public protocol ProcessLauncher: Sendable {
  /// Starts `spec`'s program and returns when it is executed. It blocks for some milliseconds.
  ///
  /// Throws a `Failure` that names what could not be done; its `exitCode` is 127 when the program is not found, 126
  /// when it can't be executed, 125 otherwise. After a failure nothing is left of the attempt.
  func launch(_ spec: ProcessSpec, stdio: Stdio) throws -> RunningProcess
}

/// A confined process that was started. When it is reaped, nothing is left of it; one that nobody refers to is killed,
/// unless it may outlive the launcher.
public final class RunningProcess: Sendable {
  /// The process as the host sees it; inside it is process 1.
  public let handle: ProcessHandle
  /// The side of the terminal that shows it, for a spec with one.
  public let terminal: OpenFile?
  /// Mount targets that were missing in the root and had to be made in it: empty directories and files, paths as the
  /// spec spells them. They are no work of the process.
  public let createdTargets: [TreePath]
  /// What was asked for and could not be had here, for people: `set limit nofile: operation not permitted`.
  public let warnings: [String]
  private let cgroup: Cgroup?
  private let idWatch: IDWatch?
  private let diesWithLauncher: Bool

  init(
    handle: ProcessHandle, terminal: OpenFile?, createdTargets: [TreePath], warnings: [String], cgroup: Cgroup?,
    idWatch: IDWatch?, diesWithLauncher: Bool
  ) {
    self.handle = handle
    self.terminal = terminal
    self.createdTargets = createdTargets
    self.warnings = warnings
    self.cgroup = cgroup
    self.idWatch = idWatch
    self.diesWithLauncher = diesWithLauncher
  }

  deinit {
    guard diesWithLauncher else { return }
    try? handle.send(.kill)
    _ = try? wait()
  }

  public var pid: Int32 { handle.pid }

  /// What the last call of the process for an id that this user namespace does not have tells right after the end,
  /// `chown /srv to 33:33 needs a second id`, or that it may; nil if there was none. Where every id is there nobody
  /// looks.
  public var refusedID: String? { idWatch?.last }

  /// Waits until the process and all others in its pid namespace have ended. It blocks.
  public func wait() throws -> ExitStatus {
    let status = try handle.wait()
    cgroup?.destroy()
    return status
  }

  /// Sends `signal` to process 1 of the container; SIGKILL ends all of its processes.
  public func kill(_ signal: Signal = .kill) throws { try handle.send(signal) }
}
