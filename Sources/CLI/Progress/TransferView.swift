internal import Core

/// The lines of a pull or push, in Docker's words.
///
/// Where there is no terminal, a line tells each change of a blob but the counting. On a terminal each blob has one
/// line, which is painted again; the picture is never higher than the terminal until the end, when all of it stays.
struct TransferView: Sendable {
  /// nil: no terminal.
  private var size: (columns: Int, rows: Int)?
  private var rows: [Row] = []
  private var numbers: [String: Int] = [:]
  private var painted = 0

  private struct Row: Sendable {
    var id: String
    var state: TransferEvent.State
    /// When bytes began to flow, and how many were there then.
    var start: (at: Timestamp, done: Int64)?
  }

  init(size: (columns: Int, rows: Int)?) { self.size = size }

  /// What to print for `event`, which happened at `now`.
  mutating func text(for event: TransferEvent, at now: Timestamp) -> String {
    switch event {
    case .line(let line):
      let above = erase() + SafeText.line(line) + "\n"
      return above + repaint(now)
    case .blob(let id, let state):
      let isCounting = TransferView.amount(state) != nil
      if let number = numbers[id] {
        if !isCounting || rows[number].start == nil || TransferView.amount(rows[number].state) == nil {
          rows[number].start = TransferView.amount(state).map { (now, $0.done) }
        }
        rows[number].state = state
      } else {
        numbers[id] = rows.count
        rows.append(Row(id: id, state: state, start: TransferView.amount(state).map { (now, $0.done) }))
      }
      if size != nil { return repaint(now) }
      return isCounting ? "" : "\(id): \(TransferView.words(state))\n"
    }
  }

  /// The last picture, with every line.
  mutating func end(at now: Timestamp) -> String {
    guard let size else { return "" }
    let out = erase() + rows.map { line($0, size.columns, now) + "\n" }.joined()
    (rows, numbers, painted) = ([], [:], 0)
    return out
  }

  private mutating func erase() -> String {
    defer { painted = 0 }
    return painted > 0 ? "\u{1B}[\(painted)A\r\u{1B}[J" : ""
  }

  private mutating func repaint(_ now: Timestamp) -> String {
    guard let size else { return "" }
    let room = max(1, size.rows - 2)
    var shown = rows[...]
    if rows.count > room {
      // Those that still do something are worth most.
      let busy = rows.filter { !TransferView.isOver($0.state) }
      shown = (busy.count >= room ? busy.prefix(room) : rows.suffix(room))
    }
    var out = painted > 0 ? "\u{1B}[\(painted)A\r" : ""
    for row in shown { out += line(row, size.columns, now) + "\u{1B}[K\n" }
    if painted > shown.count { out += "\u{1B}[J" }
    painted = shown.count
    return out
  }

  private func line(_ row: Row, _ columns: Int, _ now: Timestamp) -> String {
    var text = "\(row.id): \(TransferView.words(row.state))"
    if let (done, total) = TransferView.amount(row.state) {
      let width = min(50, max(10, columns - 60))
      let filled = total > 0 ? Int(Double(width) * Double(done) / Double(total)) : width
      let bar =
        filled >= width
        ? String(repeating: "=", count: width)
        : String(repeating: "=", count: filled) + ">" + String(repeating: " ", count: width - filled - 1)
      text += " [\(bar)]  \(HumanText.size(done))/\(HumanText.size(total))"
      if let start = row.start {
        let seconds = Double(now.nanoseconds(since: start.at, clampedTo: .max)) / 1e9
        if seconds > 0.5, done > start.done {
          text += "  \(HumanText.size(Int64(Double(done - start.done) / seconds)))/s"
        }
      }
    }
    return DisplayWidth.clip(text, to: max(20, columns - 1))
  }

  private static func words(_ state: TransferEvent.State) -> String {
    switch state {
    case .waiting: "Waiting"
    case .shared: "Waiting for another command that pulls it"
    case .found: "Pulling fs layer"
    case .downloading: "Downloading"
    case .downloaded: "Download complete"
    case .pulled: "Pull complete"
    case .alreadyExists: "Already exists"
    case .preparing: "Preparing"
    case .compressing: "Compressing"
    case .pushing: "Pushing"
    case .pushed: "Pushed"
    case .layerExists: "Layer already exists"
    case .mounted(let repository): "Mounted from \(SafeText.line(repository))"
    }
  }

  private static func amount(_ state: TransferEvent.State) -> (done: Int64, total: Int64)? {
    switch state {
    case .downloading(let done, let total), .pushing(let done, let total): (done, total)
    default: nil
    }
  }

  private static func isOver(_ state: TransferEvent.State) -> Bool {
    switch state {
    case .pulled, .alreadyExists, .pushed, .layerExists, .mounted: true
    default: false
    }
  }
}
