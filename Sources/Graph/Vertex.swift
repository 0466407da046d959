public import Core

/// The definition digest of a vertex: SHA-256 of its canonical op and its inputs' ids. Equal work has equal ids.
public struct VertexID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let digest: Digest

  /// The id of `op` applied to `inputs`.
  public init(_ op: Op, inputs: [VertexID]) {
    digest = Digest.sha256(
      JSON.object(["op": op.canonical, "inputs": .strings(inputs.map(\.digest.text))]).bytes)
  }

  /// The first 12 digits, as people are shown.
  public var description: String { digest.short }

  public static func < (a: VertexID, b: VertexID) -> Bool { a.digest < b.digest }
}

/// One step of a build graph: an op, what it works on, and what people are told about it.
public struct Vertex: Sendable, Equatable {
  public let id: VertexID
  public let op: Op
  /// `inputs[0]` is the base state of exec, copy and makeDirectory; the others are what a copy reads from.
  public let inputs: [VertexID]
  /// `[build 2/5] RUN make`.
  public var title: String
  /// The instruction as shown in `title`, `RUN make`.
  public var instructionText: String
  /// Lines of the Dockerfile; nil for work that no line asked for.
  public var range: SourceRange?
  /// The stage's name or `stage-N`; empty when the Dockerfile has one stage.
  public var stageName: String
  /// Position among the stage's shown steps, from 1.
  public var stepIndex: Int
  public var stepCount: Int
  /// Whether look-ups are skipped (`--no-cache`).
  public var ignoresCache: Bool

  public init(
    op: Op, inputs: [VertexID], title: String, instructionText: String, range: SourceRange? = nil,
    stageName: String = "", stepIndex: Int = 0, stepCount: Int = 0, ignoresCache: Bool = false
  ) {
    id = VertexID(op, inputs: inputs)
    self.op = op
    self.inputs = inputs
    self.title = title
    self.instructionText = instructionText
    self.range = range
    self.stageName = stageName
    self.stepIndex = stepIndex
    self.stepCount = stepCount
    self.ignoresCache = ignoresCache
  }
}
