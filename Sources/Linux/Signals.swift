internal import CLinux
internal import Glibc

/// A signal (signal(7)).
public struct Signal: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
  public let rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let hangup = Signal(rawValue: SIGHUP)
  public static let interrupt = Signal(rawValue: SIGINT)
  public static let quit = Signal(rawValue: SIGQUIT)
  public static let kill = Signal(rawValue: SIGKILL)
  public static let user1 = Signal(rawValue: SIGUSR1)
  public static let user2 = Signal(rawValue: SIGUSR2)
  public static let pipe = Signal(rawValue: SIGPIPE)
  public static let alarm = Signal(rawValue: SIGALRM)
  public static let terminate = Signal(rawValue: SIGTERM)
  public static let child = Signal(rawValue: SIGCHLD)
  public static let `continue` = Signal(rawValue: SIGCONT)
  public static let stop = Signal(rawValue: SIGSTOP)
  public static let terminalStop = Signal(rawValue: SIGTSTP)
  public static let windowChange = Signal(rawValue: SIGWINCH)
  public static let urgent = Signal(rawValue: SIGURG)

  private static let names: [(String, Int32)] = [
    ("HUP", SIGHUP), ("INT", SIGINT), ("QUIT", SIGQUIT), ("ILL", SIGILL), ("TRAP", SIGTRAP), ("ABRT", SIGABRT),
    ("BUS", SIGBUS), ("FPE", SIGFPE), ("KILL", SIGKILL), ("USR1", SIGUSR1), ("SEGV", SIGSEGV), ("USR2", SIGUSR2),
    ("PIPE", SIGPIPE), ("ALRM", SIGALRM), ("TERM", SIGTERM), ("STKFLT", 16), ("CHLD", SIGCHLD), ("CONT", SIGCONT),
    ("STOP", SIGSTOP), ("TSTP", SIGTSTP), ("TTIN", SIGTTIN), ("TTOU", SIGTTOU), ("URG", SIGURG), ("XCPU", SIGXCPU),
    ("XFSZ", SIGXFSZ), ("VTALRM", SIGVTALRM), ("PROF", SIGPROF), ("WINCH", SIGWINCH), ("IO", SIGIO), ("PWR", SIGPWR),
    ("SYS", SIGSYS), ("RTMIN", 34), ("RTMAX", 64),
  ]

  /// The signal called `text`: a number from 1 to 64, or a name in any case with or without `SIG`; nil if there is
  /// none.
  public init?(_ text: String) {
    if let number = Int32(text) {
      guard (1...64).contains(number) else { return nil }
      self.init(rawValue: number)
      return
    }
    let upper = text.uppercased()
    let short = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
    guard let found = Self.names.first(where: { $0.0 == short }) else { return nil }
    self.init(rawValue: found.1)
  }

  /// `SIGTERM`, or the number of one without a name.
  public var description: String {
    Self.names.first { $0.1 == rawValue }.map { "SIG" + $0.0 } ?? String(rawValue)
  }

  /// All signals that a person or a system sends to a process to be passed on to what it runs: not those that can't
  /// be caught, that tell of the process's own faults, or of its children, pipes and sockets.
  public static let forwardable: [Signal] = [
    .hangup, .interrupt, .quit, .user1, .user2, .alarm, .terminate, .continue, .terminalStop, .windowChange,
  ]

  /// Ignores this signal from now on; SIGPIPE is to be told by the write that failed.
  public func ignore() { _ = Glibc.signal(rawValue, SIG_IGN) }

  /// Lets this signal do what it does by default from now on.
  public func restoreDefault() { _ = Glibc.signal(rawValue, SIG_DFL) }

  /// Runs `body` with SIGPIPE kept from this thread: a write to a closed connection is told by the write that failed,
  /// also where a library does it.
  public static func withoutPipe<T>(_ body: () throws -> T) rethrows -> T {
    var set = sigset_t()
    var old = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &set, &old)
    defer {
      if sigismember(&old, SIGPIPE) == 0 {
        var none = timespec()
        while sigtimedwait(&set, nil, &none) > 0 {}
        pthread_sigmask(SIG_SETMASK, &old, nil)
      }
    }
    return try body()
  }

  /// Sends this signal to the process `pid`.
  public func send(to pid: Int32) throws {
    try check("send \(self) to process \(pid)") { Glibc.kill(pid, rawValue) }
  }
}

// The write end of the queue's pipe. A signal handler may touch nothing but this and write(2).
nonisolated(unsafe) private var queueDescriptor: Int32 = -1

/// The signals that arrive at this process, in order. There is one queue at a time: while it lives, its signals do
/// nothing else.
public final class SignalQueue: Sendable {
  private let input: OpenFile
  private let output: OpenFile
  private let signals: [Signal]

  /// Starts to catch `signals`.
  public init(_ signals: [Signal]) throws {
    (input, output) = try OpenFile.pipe()
    self.signals = signals
    // A full pipe must not stop the handler.
    try check("configure the signal pipe") { stave_fcntl(output.descriptor, F_SETFL, Int(O_NONBLOCK)) }
    queueDescriptor = output.descriptor
    for signal in signals {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        let before = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = Glibc.write(queueDescriptor, &byte, 1)
        errno = before
      }
      action.sa_flags = SA_RESTART
      try check("catch \(signal)") { sigaction(signal.rawValue, &action, nil) }
    }
  }

  deinit {
    for signal in signals { signal.restoreDefault() }
    queueDescriptor = -1
  }

  /// The descriptor that is readable while a signal waits.
  public var descriptor: Int32 { input.descriptor }

  /// Waits for the next signal at most `milliseconds`, for ever if nil; nil when none came.
  public func next(milliseconds: Int32? = nil) throws -> Signal? {
    var poll = pollfd(fd: input.descriptor, events: Int16(POLLIN), revents: 0)
    let ready = Glibc.poll(&poll, 1, milliseconds ?? -1)
    if ready < 0, errno != EINTR { throw SystemError.last("wait for a signal") }
    guard ready > 0 else { return nil }
    var byte: UInt8 = 0
    let count = try withUnsafeMutableBytes(of: &byte) { try input.read(into: $0) }
    return count == 1 ? Signal(rawValue: Int32(byte)) : nil
  }
}
