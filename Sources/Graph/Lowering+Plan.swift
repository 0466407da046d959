internal import Core
internal import Dockerfile

extension Lowering {
  /// The finished plan of the stage `target`.
  func plan(target: Int) throws -> BuildPlan {
    guard let state = states[target] else { throw failure("target stage was not lowered", at: nil) }
    var image = state.image
    for label in options.labels { image.config.labels[label.name] = label.value ?? "" }
    let (used, unused, remarks) = buildArgUse()
    return BuildPlan(
      vertices: needed(by: state.current), target: state.current, config: image, history: state.history,
      warnings: warnings + remarks, stageCount: document.stages.count, instructionNames: instructionNames,
      usedBuildArgs: used, unusedBuildArgs: unused, sourceDateEpoch: sourceDateEpoch)
  }

  /// The vertices that `target` depends on, and itself, in the order in which they were added.
  private func needed(by target: VertexID) -> [Vertex] {
    var wanted: Set<VertexID> = [target]
    var out: [Vertex] = []
    for vertex in vertices.reversed() where wanted.contains(vertex.id) {
      wanted.formUnion(vertex.inputs)
      out.append(vertex)
    }
    return out.reversed()
  }

  private var instructionNames: [String] {
    document.globalArguments.map(\.name)
      + document.stages.flatMap { [$0.instruction.name] + $0.instructions.map(\.name) }
  }

  /// Which build arguments some ARG takes, and a warning for each other one.
  private func buildArgUse() -> (used: [String], unused: [String], remarks: [Diagnostic]) {
    var declared: [String] = []
    let triggered = stages.flatMap { $0.commands.map(\.instruction) }
    for instruction in document.globalArguments + document.stages.flatMap(\.instructions) + triggered {
      if case .arg(let arguments) = instruction.kind { declared.append(contentsOf: arguments.map(\.name)) }
    }
    let builtIn = Set(proxyArguments + proxyArguments.map { $0.lowercased() } + ["SOURCE_DATE_EPOCH"])
    // Platform arguments reach FROM lines without a declaration.
    let known = Set(declared).union(builtIn).union(platformNames)
    let given = Set(options.buildArgs.map(\.name)).sorted()
    let unused = given.filter { !known.contains($0) }
    let remarks = unused.map { name in
      diagnostic(
        .warning, "--build-arg \(name) has no effect: no ARG names it" + didYouMean(name, in: declared), at: nil)
    }
    return (given.filter(known.contains), unused, remarks)
  }

  private var platformNames: [String] {
    ["BUILD", "TARGET"].flatMap { prefix in
      ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"].map { prefix + $0 }
    } + ["TARGETSTAGE"]
  }
}
