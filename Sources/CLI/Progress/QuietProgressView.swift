internal import Core

/// Nothing but warnings.
struct QuietProgressView: ProgressView {
  init() {}

  mutating func text(for event: ProgressEvent) -> String {
    guard case .warning(let diagnostic) = event else { return "" }
    return FailureReport.line(diagnostic) + "\n"
  }
}
