internal import Core

/// Makes a tree of a template's pieces.
struct TemplateParser {
  private let pieces: [TemplateLexer.Piece]
  private var at = 0
  private let maximumDepth = 64

  init(_ text: String) throws {
    var lexer = try TemplateLexer(text)
    pieces = try lexer.pieces()
  }

  mutating func parse() throws -> [TemplateNode] {
    let (nodes, end) = try list(depth: 0, inRange: false)
    if let end { throw Template.failure("unexpected {{\(end)}}") }
    return nodes
  }

  /// Nodes up to `end` or `else`, whose first word is returned; nil at the end of the template. After `else` the piece
  /// is not consumed, since it may be `else if`.
  private mutating func list(depth: Int, inRange: Bool) throws -> ([TemplateNode], String?) {
    guard depth < maximumDepth else { throw Template.failure("nested more than \(maximumDepth) deep") }
    var nodes: [TemplateNode] = []
    while at < pieces.count {
      switch pieces[at] {
      case .text(let text):
        nodes.append(.text(text))
        at += 1
      case .action(let tokens):
        var words = Tokens(tokens)
        if case .identifier("end")? = words.peek {
          guard words.count == 1 else { throw Template.failure("unexpected word in end") }
          at += 1
          return (nodes, "end")
        }
        if case .identifier("else")? = words.peek { return (nodes, "else") }
        at += 1
        nodes.append(try node(&words, depth: depth, inRange: inRange))
      }
    }
    return (nodes, nil)
  }

  private mutating func node(_ words: inout Tokens, depth: Int, inRange: Bool) throws -> TemplateNode {
    guard case .identifier(let keyword)? = words.peek else { return .action(try whole(&words, inRange: false)) }
    switch keyword {
    case "if", "with", "range":
      words.advance()
      return try block(keyword, &words, depth: depth, inRange: inRange)
    case "break", "continue":
      guard inRange else { throw Template.failure("{{\(keyword)}} outside {{range}}") }
      return keyword == "break" ? .breakLoop : .continueLoop
    case "define", "template", "block":
      throw Template.failure("{{\(keyword)}} is not supported yet")
    default: return .action(try whole(&words, inRange: false))
    }
  }

  private mutating func block(_ keyword: String, _ words: inout Tokens, depth: Int, inRange: Bool) throws
    -> TemplateNode
  {
    let pipeline = try whole(&words, inRange: keyword == "range")
    let (body, end) = try list(depth: depth + 1, inRange: inRange || keyword == "range")
    var otherwise: [TemplateNode] = []
    guard end != nil else { throw Template.failure("unexpected EOF") }
    if end == "else", case .action(let tokens) = pieces[at] {
      at += 1
      var rest = Tokens(tokens)
      rest.advance()
      if case .identifier(let next)? = rest.peek, next == "if" || next == "with", next == keyword {
        rest.advance()
        otherwise = [try block(next, &rest, depth: depth + 1, inRange: inRange)]
      } else {
        guard rest.peek == nil else { throw Template.failure("unexpected word in else") }
        let (nodes, end) = try list(depth: depth + 1, inRange: inRange)
        guard end == "end" else {
          throw Template.failure(end == nil ? "unexpected EOF" : "expected end; found {{else}}")
        }
        otherwise = nodes
      }
    }
    switch keyword {
    case "if": return .branch(pipeline, then: body, otherwise: otherwise)
    case "with": return .with(pipeline, then: body, otherwise: otherwise)
    default: return .range(pipeline, body: body, otherwise: otherwise)
    }
  }

  private func whole(_ words: inout Tokens, inRange: Bool) throws -> TemplatePipeline {
    let pipeline = try pipeline(&words, depth: 0, inRange: inRange)
    if words.peek != nil { throw Template.failure("unexpected \")\"") }
    return pipeline
  }

  private func pipeline(_ words: inout Tokens, depth: Int, inRange: Bool) throws -> TemplatePipeline {
    guard depth < maximumDepth else { throw Template.failure("nested more than \(maximumDepth) deep") }
    var out = TemplatePipeline()
    declaration(&words, &out, inRange: inRange)
    var command: [TemplateOperand] = []
    while let token = words.peek {
      if token == .symbol(")") { break }
      words.advance()
      if token == .symbol("|") {
        guard !command.isEmpty else { throw Template.failure("missing value for command") }
        out.commands.append(command)
        command = []
        continue
      }
      var operand = try self.operand(token, &words, depth: depth)
      var chain: [String] = []
      while case .field(let name)? = words.peek, !words.isSpaced {
        words.advance()
        chain.append(name)
      }
      if !chain.isEmpty {
        if case .field(let names) = operand {
          operand = .field(names + chain)
        } else {
          operand = .chain(operand, chain)
        }
      }
      command.append(operand)
    }
    guard !command.isEmpty else { throw Template.failure("missing value for command") }
    out.commands.append(command)
    return out
  }

  private func declaration(_ words: inout Tokens, _ out: inout TemplatePipeline, inRange: Bool) {
    var ahead = words
    guard case .variable(let first)? = ahead.next() else { return }
    var names = [first]
    var symbol = ahead.next()
    if inRange, symbol == .symbol(","), case .variable(let second)? = ahead.next() {
      names.append(second)
      symbol = ahead.next()
    }
    guard symbol == .symbol(":=") || symbol == .symbol("=") else { return }
    out.variables = names
    out.isAssignment = symbol == .symbol("=")
    words = ahead
  }

  private func operand(_ token: TemplateToken, _ words: inout Tokens, depth: Int) throws -> TemplateOperand {
    switch token {
    case .string(let text): return .literal(.string(text))
    case .number(let value): return .literal(value)
    case .dot: return .dot
    case .field(let name): return .field([name])
    case .variable(let name): return .variable(name)
    case .identifier("true"): return .literal(.bool(true))
    case .identifier("false"): return .literal(.bool(false))
    case .identifier("nil"): return .literal(.null)
    case .identifier(let name):
      guard TemplateFunctions.names.contains(name) else {
        let near = didYouMean(name, in: TemplateFunctions.names.sorted())
        throw Template.failure("function \"\(name)\" not defined" + near)
      }
      return .function(name)
    case .symbol("("):
      let inner = try pipeline(&words, depth: depth + 1, inRange: false)
      guard words.next() == .symbol(")") else { throw Template.failure("unclosed left paren") }
      return .pipeline(inner)
    case .symbol(let text): throw Template.failure("unexpected \"\(text)\" in operand")
    }
  }
}

/// The tokens of an action and how far they were read.
private struct Tokens {
  private let tokens: [(token: TemplateToken, isSpaced: Bool)]
  private var at = 0

  init(_ tokens: [(token: TemplateToken, isSpaced: Bool)]) { self.tokens = tokens }

  var count: Int { tokens.count }
  var peek: TemplateToken? { at < tokens.count ? tokens[at].token : nil }
  var isSpaced: Bool { at < tokens.count ? tokens[at].isSpaced : true }
  mutating func advance() { at += 1 }
  mutating func next() -> TemplateToken? {
    defer { at += 1 }
    return peek
  }
}
