public import Core
public import Graph
internal import Synchronization

/// The definition keys of a build's vertices, known when its solving begins.
public final class StepDefinitions: Sendable {
  private let keys = Mutex<[VertexID: Digest]>([:])

  init() {}

  func set(_ definitions: [(vertex: Vertex, key: CacheKey)]) {
    keys.withLock { keys in
      for (vertex, key) in definitions { keys[vertex.id] = key.digest }
    }
  }

  /// The vertex's definition key; nil before the solving.
  public func key(of vertex: VertexID) -> Digest? { keys.withLock { $0[vertex] } }
}
