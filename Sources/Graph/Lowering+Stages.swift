internal import Core
internal import Dockerfile

extension Lowering {
  /// Resolves the names in every FROM and COPY --from, and refuses circles.
  mutating func prepareStages() throws {
    for stage in document.stages {
      let range = stage.instruction.range
      var base = try expand(stage.from.base, globals, at: range)
      // What a plan to be looked at is not told stays as written.
      if base.isEmpty, options.mode == .planOnly { base = stage.from.base }
      guard !base.isEmpty else {
        throw failure(
          "base name (\(stage.from.base)) should not be blank", at: range,
          hint: "a variable of FROM comes from an ARG before the first FROM, or from --build-arg")
      }
      let platform = try stage.from.platform.map { try basePlatform($0, at: range) }
      let name = stage.from.stageName
      stages.append(
        StageNode(
          index: stage.index, name: name,
          displayName: name ?? "stage-\(stage.index)", platform: platform ?? options.platform,
          base: source(base, before: stage.index, platform: platform),
          instruction: stage.instruction,
          commands: stage.instructions.map { StageNode.Command(instruction: $0, range: $0.range) }))
    }
    if stages.count == 1 { stages[0].displayName = "" }
    for index in stages.indices {
      for at in stages[index].commands.indices {
        stages[index].commands[at].from = try copySource(stages[index].commands[at], in: index)
      }
    }
    try refuseCircles()
  }

  private func basePlatform(_ word: String, at range: SourceRange) throws -> Platform {
    let text = try expand(word, globals, at: range)
    guard !text.isEmpty else {
      let name = word.drop { $0 == "$" || $0 == "{" }.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
      throw failure(
        "empty platform value from expression \(word)" + didYouMean(String(name), in: globals.names), at: range)
    }
    return try located(range) { try Platform(text) }
  }

  /// What the base name `base` of the stage `index` means: an earlier stage beats an image.
  private func source(_ base: String, before index: Int, platform: Platform?) -> StageNode.ImageSource {
    if let stage = stages[..<index].last(where: { $0.name == base.lowercased() }) { return .stage(stage.index) }
    if base == "scratch" { return .scratch }
    return .image(ImageKey(reference: base, platform: platform ?? options.platform))
  }

  /// The meaning of a COPY --from, nil for other instructions.
  func copySource(_ command: StageNode.Command, in index: Int) throws -> StageNode.ImageSource? {
    guard case .copy(let copy) = command.instruction.kind, let from = copy.from, !from.isEmpty else { return nil }
    let expanded = try located(command.range) { try expander.expand(from) { _ in nil } }
    guard expanded == from else {
      throw failure(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
          + "as a workaround", at: command.range)
    }
    if let number = Int(from) {
      guard stages.indices.contains(number) else {
        throw failure("invalid stage index \(number)", at: command.range, hint: stageCountHint)
      }
      return .stage(number)
    }
    let name = from.lowercased()
    if let stage = stages[..<index].last(where: { $0.name == name }) ?? stages.last(where: { $0.name == name }) {
      return .stage(stage.index)
    }
    return from == "scratch" ? .scratch : .image(ImageKey(reference: from, platform: options.platform))
  }

  private var stageCountHint: String {
    stages.count == 1 ? "the file has one stage, 0" : "the file has stages 0 to \(stages.count - 1)"
  }

  private func refuseCircles() throws {
    var finished: Set<Int> = []
    var path: Set<Int> = []
    // An explicit stack: a file may have more stages than the call stack is deep.
    for root in stages.indices where !finished.contains(root) {
      var stack = [(stage: root, next: 0)]
      path.insert(root)
      while let top = stack.last {
        let dependencies = stages[top.stage].dependencies
        if top.next == dependencies.count {
          finished.insert(top.stage)
          path.remove(top.stage)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].next += 1
        let next = dependencies[top.next]
        if path.contains(next) {
          let command = stages[top.stage].commands.first { $0.from == .stage(next) }
          let name = stages[root].displayName.isEmpty ? "stage-0" : stages[root].displayName
          throw failure(
            "circular dependency detected on stage: \(name)",
            at: command?.range ?? stages[top.stage].instruction.range)
        }
        if !finished.contains(next) {
          path.insert(next)
          stack.append((next, 0))
        }
      }
    }
  }

  /// The stage to build.
  func findTarget() throws -> Int {
    guard let target = options.target, !target.isEmpty else { return stages.count - 1 }
    if let stage = stages.last(where: { $0.name == target.lowercased() }) { return stage.index }
    if let number = Int(target) {
      guard stages.indices.contains(number) else {
        throw failure("invalid stage index \(number)", at: nil, hint: stageCountHint)
      }
      return number
    }
    let names = stages.compactMap(\.name)
    throw failure(
      "target stage \(target.goQuoted) could not be found" + didYouMean(target, in: names), at: nil,
      hint: names.isEmpty ? "no stage of \(document.file) has a name" : "stages: \(names.joined(separator: ", "))")
  }

  /// The stages that `target` needs, ONBUILD triggers put in place, and the images that are not known yet.
  mutating func resolveReachable(from target: Int) throws -> (stages: Set<Int>, missing: [ImageRequest]) {
    while true {
      var reachable: Set<Int> = []
      var waiting = [target]
      while let index = waiting.popLast() {
        guard reachable.insert(index).inserted else { continue }
        waiting.append(contentsOf: stages[index].dependencies)
      }
      let found = reachable
      let changed = try found.sorted().map { try placeTriggers($0) }.contains(true)
      if !changed { return (found, try missingImages(found)) }
    }
  }

  private func missingImages(_ reachable: Set<Int>) throws -> [ImageRequest] {
    var missing: [ImageRequest] = []
    for index in reachable.sorted() {
      for (key, range) in stages[index].images where options.mode == .build {
        try located(range) {
          do { _ = try ImageReference(key.reference) } catch let error as Failure {
            throw Failure(
              "", "failed to parse stage name \(key.reference.goQuoted): \(error.reason)", hint: error.hint)
          }
        }
        guard options.images[key] == nil, !missing.contains(where: { $0.key == key }) else { continue }
        missing.append(
          ImageRequest(
            key: key, diagnostic: diagnostic(.error, key.reference, at: range),
            stageNames: stages.compactMap(\.name)))
      }
    }
    return missing
  }

  /// Puts the ONBUILD triggers of the stage's base in front of its commands, once; whether there were any.
  private mutating func placeTriggers(_ index: Int) throws -> Bool {
    guard !stages[index].hasTriggers else { return false }
    let range = stages[index].instruction.range
    let triggers: [Instruction]
    switch stages[index].base {
    case .scratch: triggers = []
    case .image(let key):
      guard let image = options.images[key] else { return false }
      triggers = try image.config.config.onBuild.map { text in
        try located(range) { try Instruction.parse(text, file: "ONBUILD of \(key.reference)") }
      }
    case .stage(let base):
      triggers = stages[base].commands.compactMap {
        if case .onbuild(_, let instruction) = $0.instruction.kind { instruction } else { nil }
      }
    }
    stages[index].hasTriggers = true
    let commands = try triggers.map { trigger in
      var command = StageNode.Command(instruction: trigger, range: range, isTrigger: true)
      command.from = try copySource(command, in: index)
      return command
    }
    stages[index].commands.insert(contentsOf: commands, at: 0)
    return !commands.isEmpty
  }
}
