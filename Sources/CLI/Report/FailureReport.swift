internal import Core
internal import Engine

/// How a failure is told: `stave: action: reason`, the places in the user's files, what to do.
struct FailureReport {
  let hasColor: Bool

  /// All lines for `failure`, with a newline at the end.
  func text(_ failure: Failure) -> String {
    var out = ""
    for diagnostic in failure.diagnostics {
      if let excerpt = diagnostic.excerpt { out += marked(excerpt) + "\n" }
      let isTheReason = diagnostic.message == failure.reason || diagnostic.message == failure.description
      if !isTheReason || diagnostic.excerpt == nil, !diagnostic.message.isEmpty {
        out += styled(FailureReport.line(diagnostic), diagnostic.severity == .error ? "31" : "33") + "\n"
      }
      if let hint = diagnostic.hint, hint != failure.hint { out += "hint: \(hint)\n" }
    }
    out += styled("stave:", "1;31") + " " + FailureReport.safe(failure.description) + "\n"
    let hint = failure.hint ?? (failure.kind == .noSpace ? Failure.makeRoom : nil)
    // A pointer to the help is a sentence of its own, as Docker writes it.
    if let hint { out += hint.hasPrefix("See '") ? hint + "\n" : "hint: \(hint)\n" }
    return out
  }

  /// The same for a RUN step that failed: its name and last output, the Dockerfile's lines, the reason, the full log.
  func text(_ failure: StepFailure) -> String {
    var out = ""
    if !failure.logTail.isEmpty {
      out += "------\n > \(SafeText.line(failure.title)):\n"
      for line in failure.logTail { out += SafeText.line(line) + "\n" }
      out += "------\n"
    }
    let diagnostics = failure.diagnostic.map { diagnostic in
      var place = diagnostic
      place.message = failure.message
      return [place]
    }
    out += text(Failure("build", failure.message, hint: failure.hint, diagnostics: diagnostics ?? []))
    if let path = failure.logPath { out += "full log: \(SafeText.line(path))\n" }
    return out
  }

  /// One line: `Dockerfile:3: warning: unknown build argument`.
  static func line(_ diagnostic: Diagnostic) -> String {
    var place = diagnostic.file
    if let range = diagnostic.range { place += (place.isEmpty ? "line " : ":") + range.description }
    let text = "\(diagnostic.severity.rawValue): \(diagnostic.message)"
    return safe(place.isEmpty ? text : "\(place): \(text)")
  }

  /// `text` line by line without control characters.
  private static func safe(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { SafeText.line(String($0)) }
      .joined(separator: "\n")
  }

  private func marked(_ excerpt: String) -> String {
    FailureReport.safe(excerpt).split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.contains("| >>> ") ? styled(String(line), "31") : String(line)
    }.joined(separator: "\n")
  }

  private func styled(_ text: String, _ style: String) -> String {
    hasColor ? "\u{1B}[\(style)m\(text)\u{1B}[0m" : text
  }
}
