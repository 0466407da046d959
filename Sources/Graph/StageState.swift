internal import Core

/// What a stage has come to after some of its instructions: the image so far and the environment of its RUNs.
struct StageState {
  /// The vertex whose result is the file tree so far.
  var current: VertexID
  var image: ImageConfig
  var history: [BuildPlan.HistoryItem]
  /// ENV and ARG values, for expansion and for RUN.
  var environment: Environment
  /// Names declared by ARG, in order, with the value each had then; they name the `|2 a=b c=d` of histories.
  var arguments: [(name: String, value: String)] = []
  /// Whether CMD was given in this stage.
  var hasCommand = false
  /// The vertices of this stage in order, its base image first.
  var steps: [Step] = []

  /// A vertex to be shown as a step of the stage.
  struct Step {
    var op: Op
    var inputs: [VertexID]
    var text: String
    var range: SourceRange
    var ignoresCache: Bool
  }

  /// The working directory, absolute and clean.
  var cwd: String { TreePath(clamping: image.config.workingDir).absolute }

  /// The words that run a shell-form command.
  func shell(_ command: String) -> [String] {
    let shell = image.config.shell ?? []
    return (shell.isEmpty ? ["/bin/sh", "-c"] : shell) + [command]
  }

  /// Adds a history entry; without a vertex the instruction has no layer.
  mutating func record(_ text: String, layer: VertexID? = nil, created: Timestamp?) {
    let entry = ImageConfig.History(
      created: created, createdBy: text, comment: "buildkit.dockerfile.v0", isEmptyLayer: layer == nil)
    history.append(BuildPlan.HistoryItem(entry, origin: layer.map { .layer($0) } ?? .empty))
  }
}
