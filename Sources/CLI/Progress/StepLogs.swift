internal import Core

/// The ends of the logs of running steps, and the lines that each piece of output completes.
struct StepLogs: Sendable {
  /// A line of a step's log.
  struct Line: Sendable, Equatable {
    var text: String
    /// Nanoseconds since the step began.
    var offset: Int64
  }

  /// How many lines of a step are kept.
  static let keptLines = 10

  private struct Log: Sendable {
    var step: ProgressStep
    var startedAt: Timestamp
    var splitters: [ProgressEvent.Stream: LineSplitter] = [:]
    var tail: [Line] = []
  }

  private var logs: [Int: Log] = [:]

  init() {}

  /// Takes `event`; returns the lines that it completes.
  mutating func add(_ event: ProgressEvent) -> [Line] {
    switch event {
    case .stepStarted(let step, let at):
      logs[step.id] = Log(step: step, startedAt: at)
      return []
    case .stepLog(let id, let stream, let bytes, let at):
      guard var log = logs[id] else { return [] }
      let lines = log.splitters[stream, default: LineSplitter()].add(bytes, at: at)
      return keep(lines, id, &log)
    case .stepFinished(let id, _, _, _):
      guard var log = logs[id] else { return [] }
      var rest: [LineSplitter.Line] = []
      for stream in [ProgressEvent.Stream.stdout, .stderr] {
        rest += log.splitters[stream]?.flush() ?? []
      }
      let lines = keep(rest, id, &log)
      logs[id] = nil
      return lines
    case .warning, .message, .buildFinished: return []
    }
  }

  /// The last lines of a running step.
  func tail(of id: Int) -> [Line] { logs[id]?.tail ?? [] }

  private mutating func keep(_ lines: [LineSplitter.Line], _ id: Int, _ log: inout Log) -> [Line] {
    let out = lines.map { line in
      Line(
        text: SafeText.line(line.bytes),
        offset: max(0, line.at.nanoseconds(since: log.startedAt, clampedTo: .max)))
    }
    log.tail += out.suffix(StepLogs.keptLines)
    let excess = log.tail.count - StepLogs.keptLines
    if excess > 0 { log.tail.removeFirst(excess) }
    logs[id] = log
    return out
  }
}
