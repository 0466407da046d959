internal import Core
internal import Dockerfile

/// PATH of images that have none.
let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extension Lowering {
  /// Lowers every instruction of the stage `index`. The stages it builds on were lowered before.
  mutating func lowerStage(_ index: Int) throws {
    let node = stages[index]
    var state = try initialState(node)
    for command in node.commands { try lower(command, of: node, &state) }
    addSteps(state, of: node)
    states[index] = state
  }

  /// The state after FROM.
  private mutating func initialState(_ node: StageNode) throws -> StageState {
    let range = node.instruction.range
    var state: StageState
    switch node.base {
    case .scratch:
      let image = ImageConfig(platform: options.platform)
      state = StageState(
        current: VertexID(.scratch, inputs: []), image: image, history: [], environment: Environment())
      state.image.config.workingDir = "/"
      // Scratch shows no step: it is there at once.
      _ = add(Vertex(op: .scratch, inputs: [], title: "FROM scratch", instructionText: "FROM scratch", range: range))
    case .stage(let base):
      guard let parent = states[base] else { throw forwardReference(node, base, range) }
      state = parent
      state.image.config.onBuild = []
      state.hasCommand = false
      state.steps = []
    case .image(let key):
      state = imageState(key, at: range)
    }
    if !state.image.config.env.contains(where: { $0 == "PATH" || $0.hasPrefix("PATH=") }) {
      state.image.config.env.append("PATH=" + defaultPath)
    }
    // The image's variables win over arguments that an earlier stage left.
    state.environment.set(state.image.config.env)
    let directory = state.image.config.workingDir
    if !directory.isEmpty, !directory.hasPrefix("/") { state.image.config.workingDir = "/" + directory }
    return state
  }

  private mutating func imageState(_ key: ImageKey, at range: SourceRange) -> StageState {
    let resolved = options.images[key]
    let op = Op.image(Op.Image(reference: key.reference, imageID: resolved?.imageID, platform: key.platform))
    var image = resolved?.config ?? ImageConfig(platform: key.platform)
    let history = image.history.map { BuildPlan.HistoryItem($0, origin: .base) }
    image.created = nil
    image.history = []
    image.diffIDs = []
    image.config.onBuild = []
    let wanted = key.platform
    if image.platform.os != wanted.os || image.platform.architecture != wanted.architecture {
      warnings.append(
        diagnostic(
          .warning, "base image \(key.reference) has platform \"\(image.platform)\", expected \"\(wanted)\"",
          at: range))
    }
    var state = StageState(
      current: VertexID(op, inputs: []), image: image, history: history, environment: Environment())
    state.steps.append(
      StageState.Step(op: op, inputs: [], text: "FROM \(key.reference)", range: range, ignoresCache: false))
    return state
  }

  func forwardReference(_ node: StageNode, _ source: Int, _ range: SourceRange) -> Failure {
    let name = stages[source].name ?? String(source)
    return failure(
      "cannot copy from stage \(name.goQuoted), it needs to be defined before current stage "
        + node.displayName.goQuoted, at: range)
  }

  /// `linux/arm64 builder` where the build is for several platforms, else `builder`.
  func shownName(_ node: StageNode) -> String {
    guard options.showsPlatform else { return node.displayName }
    return node.displayName.isEmpty ? "\(node.platform)" : "\(node.platform) \(node.displayName)"
  }

  /// Turns the stage's steps into vertices, now that their number is known.
  private mutating func addSteps(_ state: StageState, of node: StageNode) {
    let total = state.steps.count
    let name = shownName(node)
    for (position, step) in state.steps.enumerated() {
      let number = String(position + 1)
      let padding = String(repeating: " ", count: String(total).count - number.count)
      let stage = name.isEmpty ? "" : name + " "
      _ = add(
        Vertex(
          op: step.op, inputs: step.inputs, title: "[\(stage)\(padding)\(number)/\(total)] \(step.text)",
          instructionText: step.text, range: step.range, stageName: name, stepIndex: position + 1,
          stepCount: total, ignoresCache: step.ignoresCache))
    }
  }

  /// Puts `op` on top of the state; gives the new vertex.
  func append(
    _ op: Op, inputs: [VertexID] = [], _ command: StageNode.Command, text: String? = nil, _ state: inout StageState
  ) -> VertexID {
    let all = [state.current] + inputs
    let instruction = command.instruction
    var shown = text ?? instruction.original
    shown = instruction.name + shown.dropFirst(instruction.keyword.count)
    state.steps.append(
      StageState.Step(
        op: op, inputs: all, text: (command.isTrigger ? "ONBUILD " : "") + shown, range: command.range,
        ignoresCache: options.noCache))
    state.current = VertexID(op, inputs: all)
    return state.current
  }

  private mutating func lower(
    _ command: StageNode.Command, of node: StageNode, _ state: inout StageState
  ) throws {
    let range = command.range
    switch command.instruction.kind {
    case .run(let run): try lower(run, command, &state)
    case .copy(let copy): try lower(Transfer(copy), command, of: node, &state)
    case .add(let add): try lower(Transfer(add), command, of: node, &state)
    case .workdir(let path): try lowerWorkdir(path, command, &state)
    case .arg(let arguments): try lower(arguments, at: range, &state)
    case .from: throw failure("FROM isn't allowed here", at: range)
    default: try located(range) { try lowerMetadata(command.instruction, at: range, &state) }
    }
  }
}
