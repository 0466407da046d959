public import Core
public import Store

/// A file tree as the layers it is made of: what solving a vertex gives.
public struct LayerStack: Sendable, Hashable {
  /// Lowest first; empty for `scratch`.
  public var layers: [StackedLayer]

  public init(_ layers: [StackedLayer]) { self.layers = layers }

  public var diffIDs: [Digest] { layers.map(\.diffID) }

  /// The digest that names the whole stack: equal stacks have equal trees. Times are not part of it.
  public var identity: Digest { Digest.sha256(diffIDs.map(\.text).joined(separator: "\n")) }

  /// The stack with one more layer on top, made by a step that began at `created`.
  public func adding(_ diffID: Digest, created: Timestamp) -> LayerStack {
    LayerStack(layers + [StackedLayer(diffID, created: created)])
  }
}
