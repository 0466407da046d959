internal import Core

/// A Dockerfile after the lexical layer: physical lines joined to logical ones and split into words.
///
/// Follows BuildKit's `frontend/dockerfile/parser`. Pure and bounded: no text makes it trap.
public struct DockerfileSyntax: Sendable {
  /// At least one.
  public var nodes: [SyntaxNode]
  public var directives: DockerfileDocument.Directives
  /// Where empty lines inside a continued instruction were skipped.
  public var emptyContinuations: [EmptyContinuation]

  /// An instruction with empty lines among its continuation lines.
  public struct EmptyContinuation: Sendable, Equatable {
    /// The last line of the instruction.
    public var line: Int
    /// The logical line.
    public var text: String
  }

  /// Reads the lexical structure; throws a `Failure` with a diagnostic when there is none. Unknown keywords pass.
  public static func parse(_ bytes: [UInt8], file: String = "Dockerfile") throws -> DockerfileSyntax {
    do {
      return try read(bytes)
    } catch let error as ParseError {
      throw error.failure(file: file, source: sourceText(bytes))
    }
  }

  static func read(_ bytes: [UInt8], escape: Unicode.Scalar = "\\") throws -> DockerfileSyntax {
    var reader = Reader(bytes, escape: escape)
    while try reader.instruction() {}
    guard !reader.syntax.nodes.isEmpty else { throw ParseError("file with no instructions") }
    return reader.syntax
  }

  /// The text of a file for excerpts, without a byte order mark.
  static func sourceText(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...], as: UTF8.self)
  }
}

/// The state while a file is read.
private struct Reader {
  private var lines: PhysicalLines
  private var directiveParser = DirectiveParser()
  private var escape: Unicode.Scalar
  private var comments: [String] = []
  var syntax: DockerfileSyntax

  init(_ bytes: [UInt8], escape: Unicode.Scalar) {
    lines = PhysicalLines(bytes)
    self.escape = escape
    syntax = DockerfileSyntax(nodes: [], directives: .init(escape: Character(escape)), emptyContinuations: [])
  }

  /// Reads up to the end of the next instruction or, when a line is blank or a comment, of that line; false at the
  /// end of the file.
  mutating func instruction() throws -> Bool {
    guard let bytes = try lines.next() else { return false }
    let text = PhysicalLines.text(PhysicalLines.withoutNewline(bytes)).drop(while: \.isBlank)
    let here = SourceRange(lines.number, lines.number)
    let isDirective = try directive(text, at: here)
    if text.first == "#" {
      if !isDirective { comment(text.dropFirst()) }
      return true
    }
    let (start, isContinued) = withoutContinuation(text)
    var line = start
    if line.isEmpty && !isContinued { return true }
    let hasEmptyLine = try continueLine(&line, isContinued: isContinued)
    let range = SourceRange(here.first, lines.number)
    if hasEmptyLine {
      syntax.emptyContinuations.append(.init(line: range.last, text: String(scalars: line)))
    }
    do {
      var node = try LineParser(escape: escape).node(line)
      if node.mayHaveHeredocs { node.heredocs = try heredocs(of: line, startingAt: here.first) }
      node.range = SourceRange(here.first, lines.number)
      node.comments = comments
      comments = []
      syntax.nodes.append(node)
    } catch let error as ParseError {
      throw error.located(range)
    }
    return true
  }

  /// Appends continuation lines to `line`; true when some of them were empty.
  private mutating func continueLine(_ line: inout Scalars, isContinued: Bool) throws -> Bool {
    var hasEmptyLine = false
    var isContinued = isContinued
    while isContinued, let bytes = try lines.next() {
      let text = PhysicalLines.text(PhysicalLines.withoutNewline(bytes))
      let content = text.drop(while: \.isBlank)
      if content.first == "#" { continue }
      if content.isEmpty {
        hasEmptyLine = true
        continue
      }
      let (piece, continues) = withoutContinuation(text)
      line += piece
      isContinued = continues
    }
    return hasEmptyLine
  }

  /// Whether `text` is a parser directive; if so it takes effect.
  private mutating func directive(_ text: Scalars, at range: SourceRange) throws -> Bool {
    do {
      guard let found = try directiveParser.parse(text) else { return false }
      switch found.name {
      case "syntax": syntax.directives.syntax = found.value
      case "check": syntax.directives.check = found.value
      default:
        guard found.value == "`" || found.value == "\\", let token = found.value.unicodeScalars.first else {
          throw ParseError("invalid escape token '\(found.value)' does not match ` or \\")
        }
        escape = token
        syntax.directives.escape = Character(token)
      }
      return true
    } catch let error as ParseError {
      throw error.located(range)
    }
  }

  private mutating func comment(_ text: Scalars) {
    let text = String(scalars: text.trimmed)
    if text.isEmpty { comments = [] } else { comments.append(text) }
  }

  /// The line without a continuation mark at its end, and whether there was one: the escape character, not doubled,
  /// perhaps followed by blanks.
  private func withoutContinuation(_ line: Scalars) -> (Scalars, Bool) {
    var content = line
    while let last = content.last, last == " " || last == "\t" { content = content.dropLast() }
    guard content.last == escape else { return (line, false) }
    content = content.dropLast()
    return content.last == escape ? (line, false) : (content, true)
  }

  /// Reads the bodies of the here-documents that `line` announces.
  private mutating func heredocs(of line: Scalars, startingAt first: Int) throws -> [Heredoc] {
    var found = try Heredoc.announced(in: line)
    for index in found.indices {
      let name: [UInt8] = Array(found[index].name.utf8)
      var content: [UInt8] = []
      var isTerminated = false
      while let bytes = try lines.next() {
        var candidate = PhysicalLines.withoutNewline(bytes)
        if found[index].chomp { candidate = candidate.drop { $0 == UInt8(ascii: "\t") } }
        isTerminated = candidate.elementsEqual(name)
        if isTerminated { break }
        content += bytes
      }
      guard isTerminated else {
        throw ParseError(
          "unterminated heredoc", at: SourceRange(first, lines.number),
          hint: "end it with a line that holds only \(found[index].name)")
      }
      found[index].content = String(decoding: content, as: UTF8.self)
    }
    return found
  }
}
