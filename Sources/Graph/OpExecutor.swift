public import Core

/// The solver's door to the world: finds, makes and names results.
///
/// Calls for different vertices come at the same time. A call ends soon after its task is cancelled, by throwing.
public protocol OpExecutor: Sendable {
  /// The outcome of a step. It may be of use before all is known of it: see `identity` and `Executed`.
  associatedtype Result: Sendable
  /// The right to execute a step, held by one build at a time. It is given back when nobody refers to it.
  associatedtype Claim: Sendable

  /// The digest of what the vertex reads from the build context, nil if nothing. Throws if a file is missing.
  func contextDigest(_ vertex: Vertex) async throws -> ContentDigest?

  /// Told once, before any look-up: the vertices and their definition keys.
  func begin(_ definitions: [(vertex: Vertex, key: CacheKey)])

  /// The result that is stored under `key`, or nil.
  func lookup(_ key: CacheKey) async throws -> Result?

  /// A digest of the result: results of equal content have equal identities. Nil as long as it is not known.
  func identity(_ result: Result) -> Digest?

  /// The digest of the files that a copy selects from `inputs[1...]`, nil if it reads from none. Throws if one is
  /// missing.
  func contentDigest(_ vertex: Vertex, _ inputs: [Result]) async throws -> ContentDigest?

  /// Takes the right to execute the step with the definition key `key`, which another build may have now. Then, with
  /// `waits`, waits until that one is done with it; else the answer is `.held` at once.
  func claim(_ key: CacheKey, waits: Bool) async throws -> Claiming<Result, Claim>

  /// Does the vertex's work. Vertices without inputs are executed each time.
  func execute(_ vertex: Vertex, _ inputs: [Result], keys: StepKeys) async throws -> Executed<Result>

  /// Stores that the result under `content` has the definition key `definition` too.
  func alias(definition: CacheKey, to content: CacheKey) async throws
}

extension OpExecutor {
  public func begin(_ definitions: [(vertex: Vertex, key: CacheKey)]) {}
}

/// The answer to a build that wants to execute a step.
public enum Claiming<Result: Sendable, Claim: Sendable>: Sendable {
  /// No other build executes the step as long as the claim lives.
  case granted(Claim)
  /// Another build has the claim.
  case held
  /// Another build has executed the step meanwhile: its result.
  case found(Result)
}

/// What executing a vertex gives.
public struct Executed<Result: Sendable>: Sendable {
  /// What steps on top can begin with at once.
  public var result: Result
  /// What is left to do until the result is stored under both keys, nil if it is already. It is called once, in a task
  /// of its own that goes on when another vertex fails; it may wait for the rest of vertices below, never for others.
  public var rest: (@Sendable () async throws -> Void)?

  public init(_ result: Result, rest: (@Sendable () async throws -> Void)? = nil) {
    self.result = result
    self.rest = rest
  }
}

/// What the solver tells of a vertex, in order. A vertex has one event, or `waiting`, `started` or both and one more.
public enum SolverEvent: Sendable {
  /// Another build executes the same step: its result is waited for.
  case waiting(Vertex)
  /// The vertex is about to be executed.
  case started(Vertex)
  /// The vertex's result was known, or nothing needed it since a later result was known.
  case cached(Vertex)
  /// The vertex was executed; its result may not be stored yet.
  case finished(Vertex)
  /// The vertex failed and ends the solving. There may have been no `started`: a missing context file is found early.
  /// It may be finished: what was left to do of it failed.
  case failed(Vertex, any Error)
  /// The vertex was running when another one failed or the solving was cancelled.
  case cancelled(Vertex)
  /// The target's result is there; not all results are stored yet. Of no vertex, at most once.
  case settling
}
