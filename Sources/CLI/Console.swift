internal import Core
internal import Linux

/// Where commands write: results to standard output, everything else to standard error.
struct Console: Sendable {
  /// Whether standard error may have colors: a terminal, without `NO_COLOR` and `TERM=dumb`.
  let hasColor: Bool
  /// Writes to standard output; false once its reader is gone.
  let output: @Sendable ([UInt8]) -> Bool
  /// Writes to standard error.
  let error: @Sendable (String) -> Void

  /// The process's own streams; `environment` holds `NAME=value`.
  init(environment: [String]) {
    let noColor = environment.contains { $0.hasPrefix("NO_COLOR=") && $0 != "NO_COLOR=" }
    hasColor = !noColor && !environment.contains("TERM=dumb") && StandardStream.error.isTerminal
    output = { StandardStream.output.write($0) }
    error = { StandardStream.error.write($0) }
  }

  /// Streams that tests read.
  init(
    hasColor: Bool = false, output: @escaping @Sendable ([UInt8]) -> Bool, error: @escaping @Sendable (String) -> Void
  ) {
    self.hasColor = hasColor
    self.output = output
    self.error = error
  }

  /// Writes `text` to standard output as it is.
  func print(_ text: String) { _ = output(Array(text.utf8)) }

  /// Writes `text` and a newline to standard output.
  func line(_ text: String) { print(text + "\n") }

  /// Tells something that is no error: `note: ...` on standard error.
  func note(_ text: String) { error("note: \(text)\n") }

  /// Tells something that may surprise: `warning: ...` on standard error.
  func warn(_ text: String) { error((hasColor ? "\u{1B}[33mwarning:\u{1B}[0m " : "warning: ") + text + "\n") }
}
