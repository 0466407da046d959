internal import Core

/// A picture of the build that repaints itself: a summary line, the steps, and the log's end of those that run.
///
/// The picture is never higher than the terminal; what is erased is exactly what was painted. When the build ends it
/// is painted a last time with all steps.
struct TerminalProgressView: ProgressView {
  let showsTime = true
  private var columns: Int
  private var rows: Int
  private let hasColor: Bool

  private struct Row: Sendable {
    var step: ProgressStep
    var startedAt: Timestamp
    /// Nil while it runs.
    var end: (outcome: ProgressEvent.Outcome, duration: Int64)?
  }

  private static let logLines = 6

  private var logs = StepLogs()
  private var steps: [Row] = []
  private var startedAt: Timestamp?
  private var now: Timestamp?
  private var painted = 0
  /// What is told below the last picture.
  private var remarks: [String] = []

  init(columns: Int, rows: Int, hasColor: Bool) {
    self.hasColor = hasColor
    (self.columns, self.rows) = (80, 24)
    resize(columns: columns, rows: rows)
  }

  mutating func text(for event: ProgressEvent) -> String {
    _ = logs.add(event)
    switch event {
    case .stepStarted(let step, let at):
      passed(at)
      steps.append(Row(step: step, startedAt: at, end: nil))
      return repaint()
    case .stepLog(_, _, _, let at):
      // Logs may come thousands of times a second: they are painted when time passes.
      passed(at)
      return ""
    case .stepFinished(let id, let outcome, let duration, let at):
      passed(at)
      if let row = steps.lastIndex(where: { $0.step.id == id }) { steps[row].end = (outcome, duration) }
      return repaint()
    case .warning(let diagnostic):
      remarks.append(FailureReport.line(diagnostic))
      return ""
    case .message(let text):
      remarks.append(SafeText.line(text))
      return ""
    case .buildFinished(let succeeded, let duration): return final(succeeded, duration)
    }
  }

  mutating func text(at now: Timestamp) -> String {
    passed(now)
    return steps.isEmpty ? "" : repaint()
  }

  mutating func resize(columns: Int, rows: Int) {
    self.columns = max(20, columns)
    self.rows = max(5, rows)
  }

  private mutating func passed(_ time: Timestamp) {
    if startedAt == nil { startedAt = time }
    now = max(now ?? time, time)
  }

  /// Moves to the picture's first line and erases all below.
  private func erase() -> String { painted > 0 ? "\u{1B}[\(painted)A\r\u{1B}[J" : "" }

  private mutating func repaint() -> String {
    let lines = picture()
    // Overwriting lines in place flickers less than erasing everything first.
    var out = painted > 0 ? "\u{1B}[\(painted)A\r" : ""
    for line in lines { out += line + "\u{1B}[K\n" }
    if painted > lines.count { out += "\u{1B}[J" }
    painted = lines.count
    return out
  }

  private func picture() -> [String] {
    let elapsed = now.flatMap { now in startedAt.map { now.nanoseconds(since: $0, clampedTo: .max) } } ?? 0
    let running = steps.filter { $0.end == nil }
    let finished = steps.filter { $0.end != nil }
    let room = max(1, rows - 2)
    let header = "[+] Building \(HumanText.seconds(elapsed, places: 1))s (\(finished.count)/\(steps.count))"
    // Running steps come first when space is short; their logs share what is left.
    let shownRunning = running.suffix(room)
    let tails = shownRunning.map { logs.tail(of: $0.step.id).suffix(TerminalProgressView.logLines) }
    var left = room - shownRunning.count
    var lengths = tails.map { _ in 0 }
    var grows = true
    while left > 0, grows {
      grows = false
      for i in tails.indices where lengths[i] < tails[i].count && left > 0 {
        lengths[i] += 1
        left -= 1
        grows = true
      }
    }
    var out = [clipped(header)]
    out += finished.suffix(max(0, left)).map { line($0) }
    for (i, row) in shownRunning.enumerated() {
      out.append(line(row))
      for log in tails[i].suffix(lengths[i]) { out.append(styled(clipped(" => => # " + log.text), "2")) }
    }
    return out
  }

  private mutating func final(_ succeeded: Bool, _ duration: Int64) -> String {
    let finished = steps.filter { $0.end != nil }.count
    var out = erase()
    painted = 0
    let header = "[+] Building \(HumanText.seconds(duration, places: 1))s (\(finished)/\(steps.count))"
    out += clipped(succeeded ? header + " FINISHED" : header) + "\n"
    for row in steps { out += line(row) + "\n" }
    for remark in remarks { out += remark + "\n" }
    return out
  }

  private func line(_ row: Row) -> String {
    var prefix = " => "
    var style = ""
    var nanoseconds: Int64 = 0
    switch row.end {
    case nil:
      nanoseconds = max(0, now?.nanoseconds(since: row.startedAt, clampedTo: .max) ?? 0)
    case (let outcome, let duration)?:
      nanoseconds = duration
      switch outcome {
      case .cached: (prefix, style) = (" => CACHED ", "34")
      case .done: style = "34"
      case .error: (prefix, style) = (" => ERROR ", "31")
      case .cancelled: (prefix, style) = (" => CANCELED ", "33")
      }
    }
    let time = HumanText.seconds(nanoseconds, places: 1) + "s"
    let width = columns - time.count - 2
    let label = DisplayWidth.clip(prefix + SafeText.line(row.step.label), to: width)
    let gap = String(repeating: " ", count: max(1, columns - 1 - DisplayWidth.of(label) - time.count))
    return styled(label + gap + time, style)
  }

  /// The last column stays free: some terminals wrap when it is written.
  private func clipped(_ text: String) -> String { DisplayWidth.clip(text, to: columns - 1) }

  private func styled(_ text: String, _ style: String) -> String {
    hasColor && !style.isEmpty ? "\u{1B}[\(style)m\(text)\u{1B}[0m" : text
  }
}
