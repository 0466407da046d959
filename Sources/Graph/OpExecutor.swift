public import Core

/// The solver's door to the world: finds, makes and names results.
///
/// Calls for different vertices come at the same time. A call ends soon after its task is cancelled, by throwing.
public protocol OpExecutor: Sendable {
  /// The outcome of a step.
  associatedtype Result: Sendable

  /// The digest of what the vertex reads from the build context, nil if nothing. Throws if a file is missing.
  func contextDigest(_ vertex: Vertex) async throws -> ContentDigest?

  /// The result that is stored under `key`, or nil.
  func lookup(_ key: CacheKey) async throws -> Result?

  /// A digest of the result: results of equal content have equal identities.
  func identity(_ result: Result) -> Digest

  /// The digest of the files that a copy selects from `inputs[1...]`, nil if it reads from none. Throws if one is
  /// missing.
  func contentDigest(_ vertex: Vertex, _ inputs: [Result]) async throws -> ContentDigest?

  /// Does the vertex's work and stores the result under both keys. Vertices without inputs are executed each time.
  func execute(_ vertex: Vertex, _ inputs: [Result], keys: StepKeys) async throws -> Result

  /// Stores that the result under `content` has the definition key `definition` too.
  func alias(definition: CacheKey, to content: CacheKey) async throws
}

/// What the solver tells of a vertex, in order. A vertex has one event, or `started` and one more.
public enum SolverEvent: Sendable {
  /// The vertex is about to be executed.
  case started(Vertex)
  /// The vertex's result was known, or nothing needed it since a later result was known.
  case cached(Vertex)
  /// The vertex was executed.
  case finished(Vertex)
  /// The vertex failed and ends the solving. There may have been no `started`: a missing context file is found early.
  case failed(Vertex, any Error)
  /// The vertex was running when another one failed or the solving was cancelled.
  case cancelled(Vertex)
}
