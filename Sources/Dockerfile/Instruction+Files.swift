internal import Core

/// Sources and destination of COPY and ADD.
private struct Transfer {
  var sources: [String] = []
  var inlineSources: [Int] = []
  var destination: String

  /// The paths among the words of `node`, and which here-documents the others name.
  init(_ node: SyntaxNode) throws {
    destination = node.arguments.last ?? ""
    if !node.isJSON, let heredoc = try? Heredoc(word: destination.scalars), !heredoc.name.isEmpty {
      throw ParseError("\(node.keyword.uppercased()) cannot accept a heredoc as a destination")
    }
    for word in node.arguments.dropLast() {
      // Of here-documents of one name the last counts: it would overwrite the others.
      if !node.isJSON, let heredoc = try? Heredoc(word: word.scalars),
        let index = node.heredocs.lastIndex(where: { $0.name == heredoc.name })
      {
        if !inlineSources.contains(index) { inlineSources.append(index) }
      } else {
        sources.append(word)
      }
    }
  }

  static func requireDestination(_ node: SyntaxNode) throws {
    guard node.arguments.count >= 2 else {
      throw ParseError(
        "\(node.keyword.uppercased()) requires at least two arguments, but only one was provided. "
          + "Destination could not be determined")
    }
  }
}

extension Instruction.Copy {
  init(_ node: SyntaxNode) throws {
    try Transfer.requireDestination(node)
    let flags = try BuilderFlags(
      node.flags,
      known: [
        "chown": .string, "chmod": .string, "exclude": .strings, "from": .string, "link": .bool, "parents": .bool,
      ])
    let transfer = try Transfer(node)
    let from = flags.string("from")
    if let from, from.unicodeScalars.contains("$") {
      throw ParseError(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
          + "as a workaround")
    }
    self.init(
      sources: transfer.sources, inlineSources: transfer.inlineSources, destination: transfer.destination,
      from: from, chown: flags.string("chown"), chmod: flags.string("chmod"), link: flags.bool("link") ?? false,
      parents: flags.bool("parents") ?? false, exclude: flags.strings("exclude"))
  }
}

extension Instruction.Add {
  init(_ node: SyntaxNode) throws {
    try Transfer.requireDestination(node)
    let flags = try BuilderFlags(
      node.flags,
      known: [
        "checksum": .string, "chown": .string, "chmod": .string, "exclude": .strings, "keep-git-dir": .bool,
        "link": .bool, "unpack": .bool,
      ])
    let transfer = try Transfer(node)
    self.init(
      sources: transfer.sources, inlineSources: transfer.inlineSources, destination: transfer.destination,
      chown: flags.string("chown"), chmod: flags.string("chmod"), link: flags.bool("link") ?? false,
      keepGitDir: flags.bool("keep-git-dir"), checksum: flags.string("checksum"), unpack: flags.bool("unpack"),
      exclude: flags.strings("exclude"))
  }
}
