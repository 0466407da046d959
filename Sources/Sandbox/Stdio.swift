public import Linux

/// Where a process's standard streams go.
public enum Stdio: Sendable {
  /// Open files; nil is /dev/null.
  case files(input: OpenFile?, output: OpenFile?, error: OpenFile?)
  /// A terminal of the container, for a spec with `terminal`; its other side is `RunningProcess.terminal`.
  case terminal(WindowSize?)

  /// The streams of the launching process itself.
  public static func inherited() throws -> Stdio {
    .files(
      input: try OpenFile.duplicate(0, path: "standard input"),
      output: try OpenFile.duplicate(1, path: "standard output"),
      error: try OpenFile.duplicate(2, path: "standard error"))
  }

  /// All of /dev/null.
  public static var none: Stdio { .files(input: nil, output: nil, error: nil) }
}
