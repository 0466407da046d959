internal import Core

extension BuildPlan {
  /// The plan for people, bug reports and golden tests: the same plan always has the same text.
  ///
  /// One paragraph a vertex, in order, numbered from 1; then the image's config and history.
  public var text: String {
    var numbers: [VertexID: Int] = [:]
    for (position, vertex) in vertices.enumerated() { numbers[vertex.id] = position + 1 }
    func name(_ id: VertexID) -> String { numbers[id].map { "#\($0)" } ?? id.description }
    var lines: [String] = []
    for vertex in vertices {
      let place = vertex.range.map { "  line \($0)" } ?? ""
      lines.append("\(name(vertex.id)) \(vertex.title.onOneLine)\(place)")
      if !vertex.inputs.isEmpty { lines.append("    on \(vertex.inputs.map(name).joined(separator: " "))") }
      lines.append(contentsOf: vertex.op.lines.map { "    " + $0 })
      if vertex.ignoresCache { lines.append("    no cache") }
      lines.append("")
    }
    lines.append("image \(name(target)) \(config.platform)")
    if !config.author.isEmpty { lines.append("    author \(config.author)") }
    if let object = config.config.json.object {
      for key in object.keys.sorted() { lines.append("    \(key) \(object[key]?.text ?? "")") }
    }
    lines.append("history")
    for item in history {
      switch item.origin {
      case .base: lines.append("    base   \(item.entry.createdBy.onOneLine)")
      case .empty: lines.append("    empty  \(item.entry.createdBy.onOneLine)")
      case .layer(let id): lines.append("    \(name(id).padded(6)) \(item.entry.createdBy.onOneLine)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension Op {
  /// The op's members, one a line.
  fileprivate var lines: [String] {
    switch self {
    case .scratch: return []
    case .image(let image): return ["image \(image.imageID?.text ?? "not resolved") \(image.platform)"]
    case .makeDirectory(let directory):
      let user = directory.user.isEmpty ? "" : " user \(directory.user)"
      return ["mkdir \(directory.path)" + user] + line(directory.latest)
    case .exec(let exec):
      var lines = ["exec \(JSON.strings(exec.argv).text)", "cwd \(exec.cwd)"]
      if !exec.user.isEmpty { lines.append("user \(exec.user)") }
      if exec.network != .default { lines.append("network \(exec.network.rawValue)") }
      lines += exec.env.map { "env \(JSON.string($0).text)" }
      lines += exec.addHosts.map { "host \($0)" }
      for file in exec.files {
        let mode = String(file.mode, radix: 8)
        lines.append("file \(file.path) 0\(mode) \(Digest.sha256(file.content).short)")
      }
      return lines + line(exec.latest)
    case .copy(let copy):
      var lines = copy.sources.map { source in
        switch source {
        case .context(let path): "from context \(JSON.string(path).text)"
        case .input(let index, let path): "from input \(index) \(JSON.string(path).text)"
        case .inline(let name, let content): "from inline \(name) \(Digest.sha256(content).short)"
        }
      }
      let slash = copy.destinationIsDirectory && copy.destination != "/" ? "/" : ""
      lines.append((copy.isAdd ? "add to " : "copy to ") + copy.destination + slash)
      if let chown = copy.chown { lines.append("chown \(chown)") }
      if let chmod = copy.chmod { lines.append("chmod \(chmod)") }
      return lines + line(copy.latest)
    }
  }

  /// That no file is later than `latest`.
  private func line(_ latest: Timestamp?) -> [String] { latest.map { ["latest \($0.rfc3339)"] } ?? [] }
}

extension String {
  /// The string with its line breaks shown as `\n`.
  fileprivate var onOneLine: String {
    split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: "\\n")
  }

  fileprivate func padded(_ width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
