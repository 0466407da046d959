internal import Core

/// Numbered lines, for logs: `#7 [2/5] RUN make`, `#7 0.123 a line`, `#7 DONE 0.1s`.
struct PlainProgressView: ProgressView {
  private var logs = StepLogs()
  private var current: Int?

  init() {}

  mutating func text(for event: ProgressEvent) -> String {
    let lines = logs.add(event)
    switch event {
    case .stepStarted(let step, _):
      return turn(to: step.id) + "#\(step.id) \(SafeText.line(step.label))\n"
    case .stepLog(let id, _, _, _):
      return lines.isEmpty ? "" : turn(to: id) + text(of: lines, id)
    case .stepFinished(let id, let outcome, let duration, _):
      let end =
        switch outcome {
        case .cached: "CACHED"
        case .done: "DONE \(HumanText.seconds(duration, places: 1))s"
        case .error(let reason): "ERROR: \(SafeText.line(reason))"
        case .cancelled: "CANCELED"
        }
      return turn(to: id) + text(of: lines, id) + "#\(id) \(end)\n"
    case .warning(let diagnostic): return turn(to: nil) + FailureReport.line(diagnostic) + "\n"
    case .message(let text): return SafeText.line(text) + "\n"
    case .buildFinished: return ""
    }
  }

  private func text(of lines: [StepLogs.Line], _ id: Int) -> String {
    lines.map { "#\(id) \(HumanText.seconds($0.offset, places: 3)) \($0.text)\n" }.joined()
  }

  /// A blank line where the talk turns to another step.
  private mutating func turn(to id: Int?) -> String {
    defer { current = id }
    return current != nil && current != id ? "\n" : ""
  }
}
