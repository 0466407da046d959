internal import Core

/// Folds the events of a build into text for standard error. Pure: it writes nothing and has no clock.
protocol ProgressView: Sendable {
  /// The text that `event` adds.
  mutating func text(for event: ProgressEvent) -> String
  /// Whether `text(at:)` is ever anything: a clock costs a thread.
  var showsTime: Bool { get }
  /// The text that the passing of time adds: a repaint of what counts seconds. `now` is the present.
  mutating func text(at now: Timestamp) -> String
  /// The terminal has this size from now on, in cells.
  mutating func resize(columns: Int, rows: Int)
}

extension ProgressView {
  var showsTime: Bool { false }
  mutating func resize(columns: Int, rows: Int) {}
  mutating func text(at now: Timestamp) -> String { "" }
}

/// The views of `--progress`.
enum ProgressStyle: String, Sendable, CaseIterable {
  case auto, plain, tty, rawjson, quiet

  /// The view; `auto` is `tty` on a terminal. `columns` and `rows` are the terminal's.
  func view(isTerminal: Bool, hasColor: Bool, columns: Int, rows: Int) -> any ProgressView {
    switch self {
    case .auto where isTerminal, .tty: TerminalProgressView(columns: columns, rows: rows, hasColor: hasColor)
    case .auto, .plain: PlainProgressView()
    case .rawjson: RawJSONProgressView()
    case .quiet: QuietProgressView()
    }
  }
}
