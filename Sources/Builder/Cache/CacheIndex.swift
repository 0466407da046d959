internal import Core
internal import Store

/// What an exported build cache knows: the records of steps by their keys, and the blob of each layer in their results.
///
/// Results are kept as paths in a tree of layers, since most steps stand on others: the index grows with the steps,
/// not with steps times layers. Reading one materialises nothing but what is asked for.
struct CacheIndex: Sendable, Equatable {
  /// A layer, and the blob that has it; none of a base image's, which comes from where the base came from.
  struct CachedLayer: Sendable, Equatable {
    var diffID: Digest
    var blob: Descriptor?
  }

  /// A layer on top of the results that `parent` stands for.
  struct Node: Sendable, Hashable {
    /// The position of the layer below, always a smaller one; nil at the bottom.
    var parent: Int?
    /// Into `layers`.
    var layer: Int
    /// See `StackedLayer`.
    var created: Timestamp?
  }

  /// A step's record without its result, which the tree has.
  struct Step: Sendable, Equatable {
    var key: Digest
    /// The definition keys that lead to it, sorted; the record's own is the first that the build had.
    var definitions: [Digest]
    /// The topmost layer of the result, into `nodes`.
    var top: Int
    var started: Timestamp
    var durations: [String: Int64]
    var title: String
    /// What the key was made from, where that is small enough.
    var preimage: JSON?
  }

  private(set) var layers: [CachedLayer] = []
  private(set) var nodes: [Node] = []
  private(set) var steps: [Step] = []
  private var byKey: [Digest: Int] = [:]
  private var byDefinition: [Digest: Int] = [:]
  private var blobsByLayer: [Digest: Descriptor] = [:]

  /// The most layers of a result: beyond what any kernel mounts.
  static let deepest = 4096

  /// The index of `records`, in their order; the first of a key counts. `blobs` are those of the layers by diffID,
  /// `preimages` those of the records by key.
  init(_ records: [StepRecord], blobs: [Digest: Descriptor], preimages: [Digest: JSON] = [:]) {
    var layers: [CachedLayer] = []
    var nodes: [Node] = []
    var steps: [Digest: Step] = [:]
    var order: [Digest] = []
    var layerPositions: [Digest: Int] = [:]
    var nodePositions: [Node: Int] = [:]
    for record in records where !record.stack.isEmpty {
      if steps[record.key] != nil {
        steps[record.key]?.definitions.append(record.definitionKey)
        continue
      }
      var top: Int?
      for layer in record.stack {
        let position = layerPositions[layer.diffID] ?? layers.count
        if position == layers.count {
          layers.append(CachedLayer(diffID: layer.diffID, blob: blobs[layer.diffID]))
          layerPositions[layer.diffID] = position
        }
        let node = Node(parent: top, layer: position, created: layer.created)
        top = nodePositions[node] ?? nodes.count
        if top == nodes.count {
          nodePositions[node] = nodes.count
          nodes.append(node)
        }
      }
      guard let top else { continue }
      order.append(record.key)
      steps[record.key] = Step(
        key: record.key, definitions: [record.definitionKey], top: top, started: record.started,
        durations: record.durations, title: record.title, preimage: preimages[record.key])
    }
    self.init(
      layers: layers, nodes: nodes,
      steps: order.compactMap { steps[$0] }.map { step in
        var step = step
        step.definitions = Set(step.definitions).sorted()
        return step
      })
  }

  /// The caller has checked the positions.
  init(layers: [CachedLayer], nodes: [Node], steps: [Step]) {
    self.layers = layers
    self.nodes = nodes
    self.steps = steps
    for layer in layers where blobsByLayer[layer.diffID] == nil { blobsByLayer[layer.diffID] = layer.blob }
    for (position, step) in steps.enumerated() {
      if byKey[step.key] == nil { byKey[step.key] = position }
      for definition in step.definitions where byDefinition[definition] == nil { byDefinition[definition] = position }
    }
  }

  /// The step with the definition key `key`, or else with that content key.
  func step(_ key: Digest) -> Step? { (byDefinition[key] ?? byKey[key]).map { steps[$0] } }

  /// The layers of the step's result, lowest first, as positions in `nodes`; nil if they are too many.
  private func path(_ step: Step) -> [Int]? {
    var path: [Int] = []
    var next: Int? = step.top
    while let position = next {
      guard path.count < CacheIndex.deepest else { return nil }
      path.append(position)
      next = nodes[position].parent
    }
    return path.reversed()
  }

  /// The step's record, under its definition key `definition` (nil: the first); nil if it is beyond all bounds.
  func record(_ step: Step, definition: Digest? = nil) -> StepRecord? {
    guard let path = path(step) else { return nil }
    let stack = path.map { StackedLayer(layers[nodes[$0].layer].diffID, created: nodes[$0].created) }
    return StepRecord(
      key: step.key, definitionKey: definition ?? step.definitions.first ?? step.key,
      preimage: step.preimage.map { Preimage($0) } ?? .null, resultDiffID: stack.last?.diffID, stack: stack,
      started: step.started, durations: step.durations, title: step.title)
  }

  /// The layers of the step's result, each once, lowest first.
  func layers(of step: Step) -> [CachedLayer] {
    var seen: Set<Int> = []
    return (path(step) ?? []).map { nodes[$0].layer }.filter { seen.insert($0).inserted }.map { layers[$0] }
  }

  /// The blob of the layer, nil if the index names none.
  func blob(of diffID: Digest) -> Descriptor? { blobsByLayer[diffID] }

  /// The blobs of all layers, in their order.
  var blobs: [Descriptor] { layers.compactMap(\.blob) }

  static func == (a: CacheIndex, b: CacheIndex) -> Bool {
    a.layers == b.layers && a.nodes == b.nodes && a.steps == b.steps
  }
}
