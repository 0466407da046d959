public import Core
public import Store

/// A file tree as the layers it is made of: what solving a vertex gives. The topmost may not be packed yet.
public struct LayerStack: Sendable {
  /// Lowest first; empty for `scratch`.
  public var layers: [LayerHandle]

  public init(_ layers: [LayerHandle]) { self.layers = layers }

  /// A stack of layers that are in the store.
  public init(_ layers: [StackedLayer]) {
    self.layers = layers.map { LayerHandle($0.diffID, created: $0.created) }
  }

  /// The digest that names the whole stack: equal stacks have equal trees. Times are not part of it. Nil as long as one
  /// of the layers is not packed.
  public var identity: Digest? {
    var out: [StackedLayer] = []
    for layer in layers {
      guard let diffID = layer.diffID else { return nil }
      out.append(StackedLayer(diffID, created: layer.created))
    }
    return Self.identity(out)
  }

  /// The layers when all of them are in the store; throws what packing one of them threw.
  public func packed() async throws -> [StackedLayer] {
    var out: [StackedLayer] = []
    for layer in layers { out.append(StackedLayer(try await layer.packed(), created: layer.created)) }
    return out
  }

  /// The identity of a stack whose layers are `layers`.
  static func identity(_ layers: [StackedLayer]) -> Digest {
    Digest.sha256(layers.map(\.diffID.text).joined(separator: "\n"))
  }

  /// The stack with one more layer on top.
  func adding(_ layer: LayerHandle) -> LayerStack { LayerStack(layers + [layer]) }
}
