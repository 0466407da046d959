internal import Core

extension Instruction {
  /// The eighteen keywords, in upper case, sorted.
  public static let names = [
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
  ]

  /// Parses the text of one instruction, here-documents included: a trigger of ONBUILD, a change for `commit` or
  /// `import`.
  ///
  /// Throws a `Failure` whose diagnostic shows `text` under the name `file`.
  public static func parse(_ text: String, file: String, escape: Character = "\\") throws -> Instruction {
    do {
      guard !text.trimmed.isEmpty else { throw ParseError("no instruction given") }
      let token = escape.unicodeScalars.first ?? "\\"
      let nodes = try DockerfileSyntax.read(Array(text.utf8), escape: token).nodes
      guard let node = nodes.first, nodes.count == 1 else {
        throw ParseError("expected one instruction, found \(nodes.count)")
      }
      return try Instruction(node)
    } catch let error as ParseError {
      throw error.failure(file: file, source: text)
    }
  }

  /// The meaning of `node`; throws a `ParseError` at its range.
  init(_ node: SyntaxNode) throws {
    do {
      self.init(
        name: node.keyword.uppercased(), keyword: node.keyword, kind: try Kind(node),
        original: node.original.trimmed, range: node.range, flags: node.flags, heredocs: node.finalHeredocs,
        comments: node.comments)
    } catch let error as ParseError {
      throw error.located(node.range)
    }
  }
}

extension SyntaxNode {
  /// The here-documents with leading tabs removed where `<<-` asks for it.
  var finalHeredocs: [Heredoc] {
    heredocs.map { heredoc in
      var heredoc = heredoc
      if heredoc.chomp { heredoc.content = heredoc.chomped }
      return heredoc
    }
  }

  /// The exec form of a JSON array, else the shell form.
  var commandLine: Instruction.CommandLine {
    isJSON ? .exec(arguments) : .shell(arguments.joined(separator: " "))
  }

  /// Throws unless the instruction has exactly one argument; returns it.
  func oneArgument() throws -> String {
    guard arguments.count == 1 else { throw ParseError("\(keyword.uppercased()) requires exactly one argument") }
    return arguments[0]
  }

  /// Throws unless the instruction has an argument.
  func requireArguments() throws {
    guard !arguments.isEmpty else { throw ParseError("\(keyword.uppercased()) requires at least one argument") }
  }
}

extension Instruction.Kind {
  init(_ node: SyntaxNode) throws {
    switch node.keyword.lowercased() {
    case "from": self = .from(try .init(node))
    case "run": self = .run(try .init(node))
    case "copy": self = .copy(try .init(node))
    case "add": self = .add(try .init(node))
    case "healthcheck": self = .healthcheck(try .init(node))
    case "onbuild": self = try .trigger(node)
    default: self = try .plain(node)
    }
  }

  /// The instructions without flags.
  private static func plain(_ node: SyntaxNode) throws -> Instruction.Kind {
    let kind: Instruction.Kind
    switch node.keyword.lowercased() {
    case "env": kind = .env(try pairs(node))
    case "label": kind = .label(try pairs(node))
    case "arg": kind = .arg(try arguments(node))
    case "workdir": kind = .workdir(try node.oneArgument())
    case "user": kind = .user(try node.oneArgument())
    case "stopsignal": kind = .stopsignal(try node.oneArgument())
    case "maintainer": kind = .maintainer(try node.oneArgument())
    case "cmd": kind = .cmd(node.commandLine)
    case "entrypoint": kind = .entrypoint(node.commandLine)
    case "shell": kind = .shell(try shell(node))
    case "expose":
      try node.requireArguments()
      kind = .expose(node.arguments.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    case "volume": kind = .volume(try volumes(node))
    default:
      let keyword = node.keyword
      throw ParseError("unknown instruction: \(keyword)" + didYouMean(keyword, in: Instruction.names))
    }
    _ = try BuilderFlags(node.flags)
    return kind
  }

  /// Triples of name, value and separator.
  private static func pairs(_ node: SyntaxNode) throws -> [Instruction.KeyValue] {
    try node.requireArguments()
    return try stride(from: 0, to: node.arguments.count - 2, by: 3).map { at in
      let name = node.arguments[at]
      guard !name.isEmpty else { throw ParseError("\(node.keyword.uppercased()) names can not be blank") }
      return .init(key: name, value: node.arguments[at + 1], isLegacy: node.arguments[at + 2].isEmpty)
    }
  }

  private static func arguments(_ node: SyntaxNode) throws -> [Instruction.Argument] {
    try node.requireArguments()
    return try node.arguments.map { argument in
      guard let (name, value) = argument.cut("=") else { return .init(name: argument) }
      guard !name.isEmpty else { throw ParseError("ARG names can not be blank") }
      return .init(name: name, value: value)
    }
  }

  private static func shell(_ node: SyntaxNode) throws -> [String] {
    try node.requireArguments()
    guard node.isJSON else { throw ParseError("SHELL requires the arguments to be in JSON form") }
    return node.arguments
  }

  private static func volumes(_ node: SyntaxNode) throws -> [String] {
    try node.requireArguments()
    return try node.arguments.map { argument in
      let path = argument.trimmed
      guard !path.isEmpty else { throw ParseError("VOLUME specified can not be an empty string") }
      return path
    }
  }

  private static func trigger(_ node: SyntaxNode) throws -> Instruction.Kind {
    guard var child = node.children.first else { throw ParseError("ONBUILD requires at least one argument") }
    _ = try BuilderFlags(node.flags)
    let name = child.keyword.uppercased()
    if name == "ONBUILD" { throw ParseError(chainedOnbuild) }
    if name == "FROM" || name == "MAINTAINER" {
      throw ParseError("\(name) isn't allowed as an ONBUILD trigger")
    }
    let text = child.original + node.heredocs.map { "\n\($0.content)\($0.name)" }.joined()
    child.heredocs = node.heredocs
    child.range = node.range
    return .onbuild(trigger: text, instruction: try Instruction(child))
  }
}
