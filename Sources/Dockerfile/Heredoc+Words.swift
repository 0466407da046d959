extension Heredoc {
  /// The here-documents that a logical line announces, in order, without content.
  ///
  /// Words are found as a shell finds them, so a `<<` within quotes is none.
  static func announced(in line: Scalars) throws -> [Heredoc] {
    guard zip(line, line.dropFirst()).contains(where: { $0 == "<" && $1 == "<" }) else { return [] }
    let lexer = WordExpander(quotes: .keep, keepEscapes: true, skipUnset: true)
    // A line that is no shell text, such as one with a lone quote, announces nothing.
    guard let words = try? lexer.words(line, { _ in nil }) else { return [] }
    return try words.compactMap { try Heredoc(word: $0.scalars) }
  }

  /// A word `[fd]<<[-]name`, or nil when it is not of that form. Throws when its quotes do not match.
  init?(word: Scalars) throws {
    let digits = word.prefix { $0.isASCII && $0.isDigit }
    var rest = word[digits.endIndex...]
    guard rest.starts(with: "<<".unicodeScalars) else { return nil }
    rest = rest.dropFirst(2)
    let chomp = rest.first == "-"
    if chomp { rest = rest.dropFirst() }
    rest = rest.drop(while: \.isBlank)
    guard !rest.isEmpty, !rest.contains("<") else { return nil }
    let plain = try WordExpander(skipUnset: true).words(rest, { _ in nil })
    guard plain.count == 1, let name = plain.first else { return nil }
    let quoted = try WordExpander(quotes: .keep, skipUnset: true).words(rest, { _ in nil })
    guard quoted.count == 1, let withQuotes = quoted.first else { return nil }
    self.init(
      name: name, content: "", expand: Heredoc.quotes(name) == Heredoc.quotes(withQuotes), chomp: chomp,
      fileDescriptor: Int(String(scalars: digits)) ?? 0)
  }

  private static func quotes(_ text: String) -> Int {
    text.unicodeScalars.lazy.filter { $0 == "'" || $0 == "\"" }.count
  }

  /// The content without the tabs at the start of each line.
  var chomped: String {
    var out = String.UnicodeScalarView()
    var atStart = true
    for scalar in content.unicodeScalars where !(atStart && scalar == "\t") {
      out.append(scalar)
      atStart = scalar == "\n"
    }
    return String(out)
  }
}
