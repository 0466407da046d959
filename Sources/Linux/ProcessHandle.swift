internal import CLinux
internal import Glibc
internal import Synchronization

/// How a process ended.
public enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
  case exited(Int32)
  case signaled(Signal)

  /// The code that a shell would give: 128 and the signal's number for a killed process.
  public var code: Int32 {
    switch self {
    case .exited(let code): code
    case .signaled(let signal): 128 + signal.rawValue
    }
  }

  /// `exit code: 3` or `killed by SIGKILL`.
  public var description: String {
    switch self {
    case .exited(let code): "exit code: \(code)"
    case .signaled(let signal): "killed by \(signal)"
    }
  }
}

/// A child of this process. It is reaped by `wait` or `poll`, once; a signal never reaches another process that got
/// its number.
public final class ProcessHandle: Sendable {
  public let pid: Int32
  /// The process as a descriptor (pidfd_open(2)): readable when it has ended.
  public let file: OpenFile
  private let status = Mutex<ExitStatus?>(nil)

  /// Takes over the child `pid` and its pidfd.
  public init(pid: Int32, pidfd: OpenFile) {
    self.pid = pid
    file = pidfd
  }

  /// Waits until the process has ended and returns how. Any number of threads may wait.
  public func wait() throws -> ExitStatus {
    while true {
      if let ended = try poll(milliseconds: nil) { return ended }
    }
  }

  /// Waits at most `milliseconds`, for ever if nil; nil while the process runs.
  public func poll(milliseconds: Int32? = 0) throws -> ExitStatus? {
    if let known = status.withLock({ $0 }) { return known }
    var ready = pollfd(fd: file.descriptor, events: Int16(POLLIN), revents: 0)
    let count = Glibc.poll(&ready, 1, milliseconds ?? -1)
    if count < 0, errno != EINTR { throw SystemError.last("wait for process \(pid)") }
    guard count > 0 else { return nil }
    return try status.withLock { status in
      if let known = status { return known }
      var raw: Int32 = 0
      guard try check("wait for process \(pid)", { waitpid(pid, &raw, WNOHANG) }) == pid else { return nil }
      let ended: ExitStatus =
        stave_wifexited(raw) != 0
        ? .exited(stave_wexitstatus(raw)) : .signaled(Signal(rawValue: stave_wtermsig(raw)))
      status = ended
      return ended
    }
  }

  /// Sends `signal`; nothing if the process has ended.
  public func send(_ signal: Signal) throws {
    try status.withLock { status in
      guard status == nil else { return }
      do {
        try signal.send(to: pid)
      } catch let error as SystemError where error.code == .noProcess {
        return
      }
    }
  }
}
