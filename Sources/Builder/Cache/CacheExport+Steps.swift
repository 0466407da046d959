internal import Core
internal import Graph
internal import Linux
internal import Store

extension CacheExport {
  /// Whether the vertex is one of those that `mode` exports. Vertices without inputs, base images, are no steps.
  static func isExported(_ vertex: VertexID, _ mode: Mode, _ plans: [BuildPlan]) -> Bool {
    vertices(mode, plans).contains { $0.id == vertex }
  }

  /// The vertices that `mode` exports, each once, in the order of the plans.
  static func vertices(_ mode: Mode, _ plans: [BuildPlan]) -> [Vertex] {
    var seen: Set<VertexID> = []
    return plans.flatMap { vertices(mode, $0) }.filter { seen.insert($0.id).inserted }
  }

  /// The vertices of `plan` that `mode` exports, in the plan's order.
  static func vertices(_ mode: Mode, _ plan: BuildPlan) -> [Vertex] {
    switch mode {
    case .max: return plan.vertices.filter { !$0.inputs.isEmpty }
    case .min:
      // The steps below one another, without what they copy from.
      var chain: Set<VertexID> = []
      var next: VertexID? = plan.target
      for vertex in plan.vertices.reversed() where vertex.id == next {
        chain.insert(vertex.id)
        next = vertex.inputs.first
      }
      return plan.vertices.filter { !$0.inputs.isEmpty && chain.contains($0.id) }
    }
  }

  /// The records of the steps that `mode` exports, in the order of the plans: the store's, or those of a cache that
  /// the build used, of steps that were not even looked at. One that is nowhere is left out.
  static func records(
    _ plans: [BuildPlan], _ definitions: StepDefinitions, _ mode: Mode, _ store: Store, _ imports: CacheImport?
  ) async throws -> [StepRecord] {
    var records: [StepRecord] = []
    for vertex in vertices(mode, plans) {
      guard let definition = definitions.key(of: vertex.id) else { continue }
      let own = try await BlockingPool.shared.run { () -> StepRecord? in
        guard let key = try store.alias(definition), var record = try store.step(forKey: key) else { return nil }
        // Several definitions may lead to one result.
        record.definitionKey = definition
        return record.stack.isEmpty ? nil : record
      }
      if let record = own {
        records.append(record)
      } else if let record = try await imports?.known(definition) {
        records.append(record)
      }
    }
    return records
  }

  /// The layers that no base image has, each once.
  static func ownLayers(_ records: [StepRecord]) -> [Digest] {
    var seen: Set<Digest> = []
    return records.flatMap(\.stack).filter { $0.created != nil && seen.insert($0.diffID).inserted }.map(\.diffID)
  }
}
