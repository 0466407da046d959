public import Core

/// A lowered Dockerfile: the steps that are needed, and the image that they make.
public struct BuildPlan: Sendable {
  /// The needed vertices, each once, inputs before those that use them.
  public var vertices: [Vertex]
  /// The vertex whose result is the image's file tree.
  public var target: VertexID
  /// The image's config, complete but for `created`, `diffIDs` and `history`: see `history`.
  public var config: ImageConfig
  /// The image's history: the base's entries, then one for each instruction.
  public var history: [HistoryItem]
  /// Remarks that do not stop the build, in the file's order.
  public var warnings: [Diagnostic]
  /// The number of stages in the file.
  public var stageCount: Int
  /// The names of the file's instructions in order, `FROM`, `RUN`; the nested one of an ONBUILD is not counted.
  public var instructionNames: [String]
  /// Names given by `--build-arg` that an ARG (or the predefined proxy arguments) took, sorted.
  public var usedBuildArgs: [String]
  /// Names given by `--build-arg` that nothing took, sorted; `warnings` has one for each.
  public var unusedBuildArgs: [String]
  /// `created` of the image and of its new history entries, from `--build-arg SOURCE_DATE_EPOCH`; nil for the time at
  /// which they are made.
  public var sourceDateEpoch: Timestamp?

  public init(
    vertices: [Vertex], target: VertexID, config: ImageConfig, history: [HistoryItem], warnings: [Diagnostic] = [],
    stageCount: Int = 1, instructionNames: [String] = [], usedBuildArgs: [String] = [],
    unusedBuildArgs: [String] = [], sourceDateEpoch: Timestamp? = nil
  ) {
    self.vertices = vertices
    self.target = target
    self.config = config
    self.history = history
    self.warnings = warnings
    self.stageCount = stageCount
    self.instructionNames = instructionNames
    self.usedBuildArgs = usedBuildArgs
    self.unusedBuildArgs = unusedBuildArgs
    self.sourceDateEpoch = sourceDateEpoch
  }

  /// One history entry, and where its layer comes from.
  public struct HistoryItem: Sendable, Equatable {
    /// `created` of an entry of this build is the plan's `sourceDateEpoch`. `isEmptyLayer` is final for `.base` and
    /// `.empty`.
    public var entry: ImageConfig.History
    public var origin: Origin

    public init(_ entry: ImageConfig.History, origin: Origin) {
      self.entry = entry
      self.origin = origin
    }

    public enum Origin: Sendable, Equatable {
      /// An entry of the base image, as it is.
      case base
      /// An instruction without a layer.
      case empty
      /// The layer that this vertex adds.
      case layer(VertexID)
    }
  }

  /// The vertex with the id `id`, or nil.
  public func vertex(_ id: VertexID) -> Vertex? { vertices.first { $0.id == id } }
}
