public import Core

/// One instruction as the lexical layer sees it: its words, not their meaning.
public struct SyntaxNode: Sendable, Equatable {
  /// The keyword as written, `Run`; it may be none of the eighteen.
  public var keyword: String
  /// Builder flags, `--from=build`, without their quotes.
  public var flags: [String]
  /// The words, split as the keyword asks for: ENV and LABEL give triples name, value, `=` (empty for the old form
  /// `ENV name value`); HEALTHCHECK gives the type and its command; an unknown keyword gives one empty word.
  public var arguments: [String]
  /// Whether the words came from a JSON array.
  public var isJSON: Bool
  /// The trigger of an ONBUILD, at most one.
  public var children: [SyntaxNode]
  /// Here-documents, contents as written.
  public var heredocs: [Heredoc]
  /// The logical line: continuations joined, no here-documents.
  public var original: String
  /// From the first line to the last line of the last here-document.
  public var range: SourceRange
  /// The comments above, without `#` and directives.
  public var comments: [String]

  /// Whether the line may be followed by here-documents: ADD, COPY, RUN or an ONBUILD of them, not in JSON form.
  var mayHaveHeredocs: Bool {
    let node = keyword.lowercased() == "onbuild" ? children.first ?? self : self
    return !node.isJSON && ["add", "copy", "run"].contains(node.keyword.lowercased())
  }

  /// The tree of one instruction without the outer parentheses: `run "make all"`.
  func dump() -> String {
    var text = keyword.lowercased()
    if !flags.isEmpty { text += " [" + flags.map(\.goQuoted).joined(separator: " ") + "]" }
    for child in children { text += " (\(child.dump()))" }
    for argument in arguments { text += " " + argument.goQuoted }
    return text.trimmed
  }
}

/// The tree of a Dockerfile in BuildKit's notation, one `(name "word" ..)` a line.
///
/// Only the lexical rules are checked, as by BuildKit's parser: an unknown instruction is dumped, not refused.
public func dumpSyntaxTree(_ bytes: [UInt8]) throws -> String { try DockerfileSyntax.parse(bytes).dump }

extension DockerfileSyntax {
  /// One `(name "word" ..)` a line, each with its newline.
  public var dump: String { nodes.map { "(\($0.dump()))\n" }.joined() }
}
