internal import Core
internal import Dockerfile

extension Lowering {
  mutating func lower(
    _ transfer: Transfer, _ command: StageNode.Command, of node: StageNode, _ state: inout StageState
  ) throws {
    let range = command.range
    let environment = state.environment
    for flag in transfer.unsupported { try refuse(flag, at: range) }
    let chown = try transfer.chown.map { try expand($0, environment, at: range) }.flatMap { $0.isEmpty ? nil : $0 }
    let chmod = try transfer.chmod.map { try expand($0, environment, at: range) }.flatMap { $0.isEmpty ? nil : $0 }
    if let chmod, !isMode(chmod) {
      throw failure(
        "invalid chmod parameter: '\(chmod)'. it should be octal string and between 0 and 07777", at: range)
    }
    let words = try transfer.sources.map { try expand($0, environment, at: range) }
    let destination = try expand(transfer.destination, environment, at: range)

    var inputs: [VertexID] = []
    if let from = command.from { inputs.append(try input(from, command, of: node)) }
    var sources = try words.map { word in
      try refuseRemote(word, transfer, at: range)
      let path = TreePath(clamping: word).text
      return inputs.isEmpty ? Op.Copy.Source.context(path) : .input(index: 1, path: path)
    }
    var shown = words
    for index in transfer.inlineSources where command.instruction.heredocs.indices.contains(index) {
      let heredoc = command.instruction.heredocs[index]
      try checkFileName(heredoc.name, at: range)
      // A here-document is expanded as shells do it, whatever the escape directive says.
      let content =
        heredoc.expand
        ? try located(range) { try WordExpander(rawQuotes: true).expand(heredoc.content) { environment[$0] } }
        : heredoc.content
      sources.append(.inline(name: heredoc.name, content: Array(content.utf8)))
      shown.append("<<" + heredoc.name)
    }
    var copy = Op.Copy(
      sources: sources, destination: destinationPath(destination, state),
      destinationIsDirectory: isDirectory(destination), chown: chown, chmod: chmod, isAdd: transfer.isAdd)
    copy.latest = latest
    let layer = append(.copy(copy), inputs: inputs, command, &state)
    let flags = [chown.map { "--chown=" + $0 }, chmod.map { "--chmod=" + $0 }].compactMap { $0 }
    let text = ([transfer.keyword] + flags + shown + [destination]).joined(separator: " ")
    state.record(text + " # buildkit", layer: layer, created: sourceDateEpoch)
  }

  /// The vertex that a COPY --from reads.
  private mutating func input(
    _ from: StageNode.ImageSource, _ command: StageNode.Command, of node: StageNode
  ) throws -> VertexID {
    switch from {
    case .scratch:
      return add(Vertex(op: .scratch, inputs: [], title: "FROM scratch", instructionText: "FROM scratch"))
    case .stage(let index):
      guard let source = states[index] else { throw forwardReference(node, index, command.range) }
      return source.current
    case .image(let key):
      let op = Op.image(
        Op.Image(reference: key.reference, imageID: options.images[key]?.imageID, platform: key.platform))
      let text = "FROM \(key.reference)"
      return add(
        Vertex(
          op: op, inputs: [], title: text, instructionText: text, range: command.range,
          stageName: shownName(node)))
    }
  }

  private func refuseRemote(_ source: String, _ transfer: Transfer, at range: SourceRange) throws {
    guard let remote = RemoteSource(source) else { return }
    switch (remote, transfer.isAdd) {
    case (.url, false): throw failure("source can't be a URL for COPY", at: range, hint: "use ADD")
    case (.git, false): throw failure("source can't be a git ref for COPY", at: range, hint: "use ADD")
    case (.url, true): try refuse("ADD \(source)", at: range)
    case (.git, true): try refuse("ADD \(source)", at: range)
    }
  }

  private func destinationPath(_ written: String, _ state: StageState) -> String {
    written.hasPrefix("/")
      ? TreePath(clamping: written).absolute : TreePath(clamping: state.cwd + "/" + written).absolute
  }

  private func isDirectory(_ written: String) -> Bool {
    written.isEmpty || written == "." || written.hasSuffix("/") || written.hasSuffix("/.")
  }
}

/// Whether `text` is a mode as `chmod(1)` takes it: octal up to 7777, or symbolic such as `u=rwX,go=rX`.
func isMode(_ text: String) -> Bool {
  if let first = text.first, first.isNumber {
    guard let mode = UInt32(text, radix: 8) else { return false }
    return mode <= 0o7777
  }
  return text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { clause in
    var rest = clause.drop { "ugoa".contains($0) }
    guard !rest.isEmpty else { return false }
    while let sign = rest.first {
      guard "+-=".contains(sign) else { return false }
      rest = rest.dropFirst()
      if let who = rest.first, "ugo".contains(who) {
        rest = rest.dropFirst()
      } else {
        rest = rest.drop { "rwxXst".contains($0) }
      }
    }
    return true
  }
}
