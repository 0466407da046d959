public import Core
public import Linux

/// What one COPY or ADD selects, and where it is to go: BuildKit's rules (frontend/dockerfile, fsutil/copy).
public struct CopySelection: Sendable {
  /// One source argument.
  public enum Source: Sendable {
    /// The files of `view` that `pattern` names: a path below its root, maybe with wildcards (`PathPattern`).
    case tree(any TreeView, pattern: [UInt8])
    /// A heredoc: a file `name` of these bytes, mode 0644.
    case bytes([UInt8], name: String)
  }

  /// `COPY` or `ADD`, for messages.
  public var instruction: String
  public var sources: [Source]
  /// Absolute (the caller joins it to WORKDIR); a `/` or `/.` at its end says that it is a directory.
  public var destination: [UInt8]
  /// `--chown`, looked up; nil keeps each file's owner.
  public var owner: Owner?
  /// `--chmod`.
  public var mode: ModeChange?
  /// `--exclude`, in the ignore file's syntax, relative to each source directory.
  public var excludes: [String]
  /// `--parents`: sources keep their path below the destination (below `/./` if the pattern has one).
  public var keepsParents: Bool
  /// ADD: local archives are unpacked.
  public var unpacksArchives: Bool
  /// No entry of the layer is later, if given: later times become this one.
  public var latest: Timestamp?

  public init(
    _ instruction: String, sources: [Source], destination: [UInt8], owner: Owner? = nil, mode: ModeChange? = nil,
    excludes: [String] = [], keepsParents: Bool = false, unpacksArchives: Bool = false
  ) {
    self.instruction = instruction
    self.sources = sources
    self.destination = destination
    self.owner = owner
    self.mode = mode
    self.excludes = excludes
    self.keepsParents = keepsParents
    self.unpacksArchives = unpacksArchives
  }

  public struct Owner: Sendable, Hashable {
    public var uid: UInt32
    public var gid: UInt32
    public init(uid: UInt32, gid: UInt32) {
      self.uid = uid
      self.gid = gid
    }
  }

  /// Decides every entry of the layer. `tree` is what the layer will lie on (`EmptyTree` for scratch and `--link`);
  /// directories that must be made get the time `created`. Members of compressed archives are kept in a nameless file
  /// in `scratch`. Throws a `Failure` for a missing source, a clash of kinds, a malformed pattern.
  public func plan(
    onto tree: any TreeView, created: Timestamp, scratch: Directory? = nil
  ) throws -> CopyPlan {
    let planner = try CopyPlanner(self, onto: tree, created: created, scratch: scratch)
    for source: Source in sources { try planner.add(source) }
    return try planner.finish()
  }
}
