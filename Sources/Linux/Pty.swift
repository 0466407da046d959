internal import CLinux
internal import Glibc

/// What a terminal does with bytes (termios(3)), kept to be put back.
public struct TerminalMode: Sendable {
  private let settings: termios

  /// The mode of the terminal `descriptor`.
  public init(of descriptor: Int32) throws {
    var settings = termios()
    try check("read the terminal's mode") { tcgetattr(descriptor, &settings) }
    self.settings = settings
  }

  /// Puts the terminal `descriptor` into this mode.
  public func apply(to descriptor: Int32) throws {
    var settings = self.settings
    try check("set the terminal's mode") { tcsetattr(descriptor, TCSADRAIN, &settings) }
  }

  /// This mode with every byte passed on as it is: no echo, no lines, no signals from keys.
  public var raw: TerminalMode {
    var settings = self.settings
    cfmakeraw(&settings)
    return TerminalMode(settings)
  }

  /// This mode for the reading of a secret: whole lines, no echo, and Ctrl-C ends the line as its last byte, so that it
  /// can't end the process with the echo still off.
  public var silent: TerminalMode {
    var settings = self.settings
    settings.c_lflag &= ~tcflag_t(ECHO | ISIG)
    withUnsafeMutableBytes(of: &settings.c_cc) { $0[Int(VEOL)] = 3 }
    return TerminalMode(settings)
  }

  private init(_ settings: termios) { self.settings = settings }
}

/// The size of a terminal in character cells.
public struct WindowSize: Sendable, Equatable {
  public var rows: UInt16
  public var columns: UInt16

  public init(rows: UInt16, columns: UInt16) {
    self.rows = rows
    self.columns = columns
  }

  /// The size of the terminal `descriptor`; nil where it is no terminal or does not know.
  public init?(of descriptor: Int32) {
    var window = winsize()
    guard stave_ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else {
      return nil
    }
    self.init(rows: window.ws_row, columns: window.ws_col)
  }

  /// Tells the terminal `descriptor` its size; what runs on it gets SIGWINCH.
  public func apply(to descriptor: Int32) throws {
    var window = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    try check("set the terminal's size") { stave_ioctl(descriptor, UInt(TIOCSWINSZ), &window) }
  }
}

/// A new pseudo-terminal of the host.
public struct Pty: Sendable {
  /// The side of the program that shows the terminal.
  public let main: OpenFile
  /// The side of the processes on it.
  public let peer: OpenFile

  /// Opens one of `size`.
  public init(size: WindowSize? = nil) throws {
    var mainFD: Int32 = -1
    var peerFD: Int32 = -1
    try check("open a terminal") { openpty(&mainFD, &peerFD, nil, nil, nil) }
    main = OpenFile(owning: mainFD, path: "terminal")
    peer = OpenFile(owning: peerFD, path: "terminal")
    for file in [main, peer] { try check("open a terminal") { stave_fcntl(file.descriptor, F_SETFD, Int(FD_CLOEXEC)) } }
    try size?.apply(to: mainFD)
  }
}
