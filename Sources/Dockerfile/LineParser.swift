internal import Core

/// Splits one logical line into the words of its instruction.
struct LineParser {
  /// The deepest ONBUILD in ONBUILD; one is already refused later, so this only bounds the recursion.
  static let maximumNesting = 16

  var escape: Unicode.Scalar

  /// The node of `line`, without range, comments and here-documents.
  func node(_ line: Scalars, depth: Int = 0) throws -> SyntaxNode {
    guard depth < LineParser.maximumNesting else { throw ParseError(chainedOnbuild) }
    let (keyword, flags, arguments) = split(line)
    var node = SyntaxNode(
      keyword: String(scalars: keyword), flags: flags, arguments: [], isJSON: false, children: [], heredocs: [],
      original: String(scalars: line), range: SourceRange(0, 0), comments: [])
    try parse(arguments, into: &node, depth: depth)
    return node
  }

  private func parse(_ rest: Scalars, into node: inout SyntaxNode, depth: Int) throws {
    switch node.keyword.lowercased() {
    case "run", "cmd", "entrypoint", "shell": try jsonOrString(rest, into: &node)
    case "add", "copy", "volume":
      if let words = try LineParser.jsonWords(rest) {
        node.arguments = words
        node.isJSON = true
      } else {
        node.arguments = list(rest)
      }
    case "expose", "from": node.arguments = list(rest)
    case "maintainer", "stopsignal", "user", "workdir":
      if !rest.isEmpty { node.arguments = [String(scalars: rest)] }
    case "env", "label": node.arguments = try pairs(rest, of: node.keyword.uppercased())
    case "arg": node.arguments = words(rest)
    case "healthcheck": try healthcheck(rest, into: &node)
    case "onbuild":
      if !rest.isEmpty { node.children = [try self.node(rest, depth: depth + 1)] }
    default: node.arguments = [""]
    }
  }

  /// The keyword, the builder flags and the rest, trimmed.
  private func split(_ line: Scalars) -> (Scalars, [String], Scalars) {
    let parts = line.trimmed.splitAtSeparators(limit: 2)
    guard parts.count == 2 else { return (parts[0], [], []) }
    let (flags, rest) = BuilderFlags.extract(parts[1])
    return (parts[0], flags, rest.trimmed)
  }

  private func list(_ rest: Scalars) -> [String] {
    rest.isEmpty ? [] : rest.splitAtSeparators().map { String(scalars: $0) }
  }

  private func jsonOrString(_ rest: Scalars, into node: inout SyntaxNode) throws {
    guard !rest.isEmpty else { return }
    if let words = try LineParser.jsonWords(rest) {
      node.arguments += words
      node.isJSON = true
    } else {
      node.arguments.append(String(scalars: rest))
    }
  }

  private func healthcheck(_ rest: Scalars, into node: inout SyntaxNode) throws {
    let type = rest.prefix { !$0.isBlank }
    guard !type.isEmpty else { return }
    node.arguments = [String(scalars: type)]
    try jsonOrString(rest[type.endIndex...].drop(while: \.isBlank), into: &node)
  }

  /// Name, value and separator of every pair.
  private func pairs(_ rest: Scalars, of keyword: String) throws -> [String] {
    let words = words(rest)
    guard let first = words.first else { return [] }
    guard first.unicodeScalars.contains("=") else {
      let parts = rest.splitAtSeparators(limit: 2)
      guard parts.count == 2 else { throw ParseError("\(keyword) must have two arguments") }
      return parts.map { String(scalars: $0) } + [""]
    }
    return try words.flatMap { word in
      guard let (name, value) = word.cut("=") else {
        throw ParseError("Syntax error - can't find = in \(word.goQuoted). Must be of the form: name=value")
      }
      return [name, value, "="]
    }
  }

  /// Words apart by white space outside quotes. Quotes and escapes stay, for the expansion to take away.
  private func words(_ rest: Scalars) -> [String] {
    var words: [String] = []
    var word: [Unicode.Scalar] = []
    var quote: Unicode.Scalar?
    var hasQuotes = false
    var at = rest.startIndex
    func finish() {
      if hasQuotes || !word.isEmpty { words.append(String(scalars: word)) }
      word = []
      hasQuotes = false
    }
    while at < rest.endIndex {
      let scalar = rest[at]
      at += 1
      if scalar == escape && quote != "'" {
        // An escape at the very end is dropped.
        guard at < rest.endIndex else { break }
        word += [scalar, rest[at]]
        at += 1
        continue
      }
      if quote != nil {
        if scalar == quote { quote = nil }
      } else if scalar.isBlank {
        finish()
        continue
      } else if scalar == "'" || scalar == "\"" {
        quote = scalar
        hasQuotes = true
      }
      word.append(scalar)
    }
    finish()
    return words
  }
}

/// Why an ONBUILD in an ONBUILD is refused.
let chainedOnbuild = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
