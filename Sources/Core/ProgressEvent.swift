/// What happens during a build, in order, as its views are told.
///
/// The events of one step come in the order started, log*, finished; those of different steps interleave. A step that
/// comes from the cache is started too, and finishes at once as `.cached`. `buildFinished` is the last event.
public enum ProgressEvent: Sendable, Equatable {
  /// A step begins to be solved at `at`.
  case stepStarted(ProgressStep, at: Timestamp)
  /// The step `step` (a `ProgressStep.id`) wrote `bytes`: a piece of its output, not necessarily whole lines or UTF-8.
  case stepLog(step: Int, stream: Stream, bytes: [UInt8], at: Timestamp)
  /// The step `step` ended after `duration` nanoseconds.
  case stepFinished(step: Int, outcome: Outcome, duration: Int64, at: Timestamp)
  /// A remark that does not end the build.
  case warning(Diagnostic)
  /// A line for people that belongs to no step, without a newline.
  case message(String)
  /// The build ended after `duration` nanoseconds.
  case buildFinished(succeeded: Bool, duration: Int64)

  /// Where a step's output was written.
  public enum Stream: String, Sendable { case stdout, stderr }

  /// How a step ended.
  public enum Outcome: Sendable, Equatable {
    case cached
    case done
    /// The step failed; one line for people, `process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`.
    case error(String)
    /// Another step failed, or the user interrupted the build.
    case cancelled
  }
}

/// One line of a build's progress: an instruction of a stage, or work that Stave does itself.
public struct ProgressStep: Sendable, Hashable {
  /// Unique in its build, from 1, in the order in which steps start: the `#7` of the plain view.
  public var id: Int
  /// The stage's name or `stage-N`; empty when the Dockerfile has one stage, `internal` for Stave's own work.
  public var stage: String
  /// Which of its stage's shown steps it is, from 1; 0 where counting makes no sense.
  public var index: Int
  /// How many shown steps its stage has; 0 where counting makes no sense.
  public var total: Int
  /// The instruction as written, on one line: `RUN npm ci`.
  public var name: String

  public init(id: Int, stage: String = "", index: Int = 0, total: Int = 0, name: String) {
    self.id = id
    self.stage = stage
    self.index = index
    self.total = total
    self.name = name
  }

  /// `[build 2/5] RUN npm ci`, `[2/5] RUN npm ci`, `[internal] load build context`, or the bare name.
  public var label: String {
    let count = total > 0 ? "\(index)/\(total)" : ""
    let parts = [stage, count].filter { !$0.isEmpty }
    return parts.isEmpty ? name : "[\(parts.joined(separator: " "))] \(name)"
  }
}
