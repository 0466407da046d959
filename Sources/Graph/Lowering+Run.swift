internal import Core
internal import Dockerfile

extension Lowering {
  mutating func lower(_ run: Instruction.Run, _ command: StageNode.Command, _ state: inout StageState) throws {
    let range = command.range
    if !run.mounts.isEmpty { try refuse("RUN --mount", at: range) }
    if run.security == "insecure" { try refuse("RUN --security=insecure", at: range) }
    if !run.devices.isEmpty { try refuse("RUN --device", at: range) }
    let (argv, files) = program(run, command.instruction.heredocs, state)
    if !files.isEmpty { try checkFileName(command.instruction.heredocs[0].name, at: range) }
    guard !argv.isEmpty else {
      warnings.append(diagnostic(.warning, "RUN without a command does nothing", at: range))
      return state.record("RUN ", created: sourceDateEpoch)
    }
    var network = options.network
    if let name = run.network {
      guard let known = Op.Network(rawValue: name) else {
        throw failure("invalid network mode \(name.goQuoted)", at: range)
      }
      if known != .default { network = known }
    }
    var exec = Op.Exec(
      argv: argv, env: state.environment.entries, cwd: state.cwd, user: state.image.config.user, network: network,
      files: files, addHosts: options.addHosts, proxyEnv: proxyEnvironment(besides: state.environment))
    exec.latest = latest
    var text = command.instruction.original
    if isWholeHeredoc(run.command), let heredoc = command.instruction.heredocs.first {
      text += " (\(summary(heredoc.content)))"
    }
    let layer = append(.exec(exec), command, text: text, &state)
    let words = argumentWords(state) + argv
    state.record("RUN " + words.joined(separator: " ") + " # buildkit", layer: layer, created: sourceDateEpoch)
  }

  /// The process's words, and the files that it needs to start.
  private func program(
    _ run: Instruction.Run, _ heredocs: [Heredoc], _ state: StageState
  ) -> (argv: [String], files: [Op.Exec.File]) {
    switch run.command {
    case .exec(let words): return (words, [])
    case .shell(let text):
      guard let first = heredocs.first else { return (state.shell(text), []) }
      if isWholeHeredoc(run.command), heredocs.count == 1 {
        // The shell gets the content as its command, so that shells without here-documents can run it too.
        guard first.content.hasPrefix("#!") else { return (state.shell(first.content), []) }
        let path = "/dev/pipes/\(first.name)"
        return ([path], [Op.Exec.File(path: path, content: first.content, mode: 0o755)])
      }
      let whole = text + heredocs.map { "\n\($0.content)\($0.name)" }.joined()
      return (state.shell(whole), [])
    }
  }

  /// Whether the command is nothing but one here-document, `<<EOF`.
  private func isWholeHeredoc(_ command: Instruction.CommandLine) -> Bool {
    guard case .shell(let text) = command else { return false }
    var rest = text.drop { $0.isASCII && $0.isNumber }
    guard rest.hasPrefix("<<") else { return false }
    rest = rest.dropFirst(2)
    if rest.hasPrefix("-") { rest = rest.dropFirst() }
    guard !rest.contains("<") else { return false }
    let words = try? WordExpander(skipUnset: true).expandWords(String(rest)) { _ in nil }
    return words?.count == 1
  }

  /// The first line of a here-document, `...` behind it if there are more.
  private func summary(_ content: String) -> String {
    let lines = content.split(whereSeparator: \.isNewline).map(String.init)
    let first = lines.first { !$0.allSatisfy(\.isWhitespace) } ?? ""
    return lines.count > 1 ? first + "..." : first
  }

  /// `|2 a=b c=d`: the ARGs in scope, each with the value that it has now.
  private func argumentWords(_ state: StageState) -> [String] {
    var names: [String] = []
    var values: [String: String] = [:]
    for (name, value) in state.arguments {
      if values.updateValue(state.environment[name] ?? value, forKey: name) == nil { names.append(name) }
    }
    if names.isEmpty { return [] }
    return ["|\(names.count)"] + names.map { "\($0)=\(values[$0] ?? "")" }
  }

  /// The proxies of `--build-arg`, in both spellings, unless the Dockerfile itself says something of them.
  private func proxyEnvironment(besides environment: Environment) -> [String] {
    var out: [String] = []
    for name in proxyArguments {
      // The spelling that sorts last wins, as the client's own variables do: lower case after upper case.
      guard let value = buildArgs[name.lowercased()] ?? buildArgs[name], !value.isEmpty else { continue }
      for spelling in [name, name.lowercased()] where environment[spelling] == nil {
        out.append("\(spelling)=\(value)")
      }
    }
    return out
  }
}

/// Names of `--build-arg` that RUN gets without an ARG, also in lower case.
let proxyArguments = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"]
