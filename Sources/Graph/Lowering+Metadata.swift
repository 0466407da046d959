internal import Core
internal import Dockerfile

extension Lowering {
  /// Instructions that change nothing but the image's config.
  func lowerMetadata(_ instruction: Instruction, at range: SourceRange, _ state: inout StageState) throws {
    let environment = state.environment
    func expanded(_ word: String) throws -> String { try expand(word, environment, at: range) }
    var text: String?
    switch instruction.kind {
    case .env(let pairs):
      let pairs = try pairs.map { (try expanded($0.key), try expanded($0.value)) }
      for (name, value) in pairs {
        guard !name.isEmpty else { throw failure("ENV names can not be blank", at: range) }
        state.environment.set(name, value)
        state.image.config.setEnvironment(name, value)
      }
      text = "ENV" + pairs.map { " \($0)=\($1)" }.joined()
    case .label(let pairs):
      let pairs = try pairs.map { (try expanded($0.key), try expanded($0.value)) }
      for (name, value) in pairs { state.image.config.labels[name] = value }
      text = "LABEL" + pairs.map { " \($0)=\($1)" }.joined()
    case .maintainer(let name):
      state.image.author = name
      text = "MAINTAINER \(name)"
    case .expose(let words):
      let words = try words.sorted().flatMap { word in try expander.expandWords(word) { environment[$0] } }
      let ports = try words.flatMap(exposedPorts)
      state.image.config.exposedPorts.formUnion(ports)
      text = "EXPOSE \(ports.goText)"
    case .user(let word):
      state.image.config.user = try expanded(word)
      text = "USER \(state.image.config.user)"
    case .volume(let words):
      let paths = try words.map(expanded)
      guard !paths.contains("") else { throw failure("VOLUME specified can not be an empty string", at: range) }
      state.image.config.volumes.formUnion(paths)
      text = "VOLUME \(paths.goText)"
    case .stopsignal(let word):
      let signal = try expanded(word)
      guard isSignal(signal) else { throw failure("invalid signal: \(signal)" + nearestSignal(signal), at: range) }
      state.image.config.stopSignal = signal
      text = "STOPSIGNAL \(signal)"
    case .onbuild(let trigger, _): state.image.config.onBuild.append(trigger)
    default: text = lowerCommand(instruction, &state)
    }
    if let text { state.record(text, created: sourceDateEpoch) }
  }

  /// CMD, ENTRYPOINT, SHELL and HEALTHCHECK, of which nothing is expanded; gives the history's text.
  private func lowerCommand(_ instruction: Instruction, _ state: inout StageState) -> String? {
    func words(_ line: Instruction.CommandLine) -> [String] {
      switch line {
      case .shell(let command): state.shell(command)
      case .exec(let words): words
      }
    }
    switch instruction.kind {
    case .cmd(let line):
      let words = words(line)
      state.image.config.cmd = words.isEmpty ? nil : words
      state.image.config.argsEscaped = true
      state.hasCommand = true
      return "CMD \(words.goQuoted)"
    case .entrypoint(let line):
      let words = words(line)
      state.image.config.entrypoint = words.isEmpty ? nil : words
      // The command of the base was meant for the entrypoint of the base.
      if !state.hasCommand { state.image.config.cmd = nil }
      return "ENTRYPOINT \(words.goQuoted)"
    case .shell(let words):
      state.image.config.shell = words
      return "SHELL \(words.goText)"
    case .healthcheck(let check):
      state.image.config.healthcheck = ContainerConfig.Healthcheck(
        test: check.test, interval: check.interval, timeout: check.timeout, startPeriod: check.startPeriod,
        startInterval: check.startInterval, retries: Int64(check.retries))
      return "HEALTHCHECK {Test:\(check.test.goText) Interval:\(goDuration(check.interval)) "
        + "Timeout:\(goDuration(check.timeout)) StartPeriod:\(goDuration(check.startPeriod)) "
        + "StartInterval:\(goDuration(check.startInterval)) Retries:\(check.retries)}"
    default: return nil
    }
  }

  /// ARG: a value from `--build-arg`, else the default, else the global value, else none.
  func lower(_ arguments: [Instruction.Argument], at range: SourceRange, _ state: inout StageState) throws {
    var shown: [String] = []
    for var argument in arguments {
      argument.name = try expand(argument.name, state.environment, at: range)
      let value: String?
      if let given = buildArgs[argument.name] {
        value = given
      } else if let own = argument.value {
        value = try expand(own, state.environment, at: range)
      } else {
        value = globals[argument.name]
      }
      if let value { state.environment.set(argument.name, value) }
      state.arguments.append((argument.name, value ?? ""))
      shown.append(value.map { "\(argument.name)=\($0)" } ?? argument.name)
    }
    state.record("ARG " + shown.joined(separator: " "), created: sourceDateEpoch)
  }

  /// WORKDIR: a layer that makes the directory, unless it is the root.
  func lowerWorkdir(_ word: String, _ command: StageNode.Command, _ state: inout StageState) throws {
    let written = try expand(word, state.environment, at: command.range)
    let path: String
    if written.hasPrefix("/") {
      path = written
    } else {
      path = TreePath(clamping: state.image.config.workingDir + "/" + written).absolute
    }
    state.image.config.workingDir = path
    var layer: VertexID?
    if state.cwd != "/" {
      var directory = Op.MakeDirectory(path: state.cwd, user: state.image.config.user)
      directory.latest = latest
      layer = append(.makeDirectory(directory), command, &state)
    }
    state.record("WORKDIR \(path)", layer: layer, created: sourceDateEpoch)
  }
}
