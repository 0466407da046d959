internal import Core

/// Replaces variables in words as a shell does: quotes, escapes, `$name` and `${name}` with its modifiers.
///
/// Follows BuildKit's `frontend/dockerfile/shell`: `${v:-w}` `${v-w}` `${v:+w}` `${v+w}` `${v:?m}` `${v?m}` `${v#p}`
/// `${v##p}` `${v%p}` `${v%%p}` `${v/p/r}` `${v//p/r}`, words of modifiers expanded in turn. An unset variable is
/// empty. Errors are a `Failure` "failed to process "word": reason".
public struct WordExpander: Sendable {
  /// The outcome of one expansion.
  public struct Expansion: Sendable, Equatable {
    public var value: String
    /// Names of variables that were looked up and set, in order, each once.
    public var used: [String]
    /// Names of variables that were looked up and not set, in order, each once.
    public var unset: [String]
    public init(value: String, used: [String] = [], unset: [String] = []) {
      self.value = value
      self.used = used
      self.unset = unset
    }
  }

  /// What becomes of quotes.
  enum Quotes: Sendable {
    /// They group, and go.
    case remove
    /// They group, and stay.
    case keep
    /// They are letters like others.
    case literal
  }

  /// `\` or `` ` ``.
  public var escape: Character
  /// Quotes are letters like others: for the bodies of here-documents.
  public var rawQuotes: Bool {
    get { quotes == .literal }
    set { quotes = newValue ? .literal : .remove }
  }
  /// An unset variable stays as it is written, `${name:-x}`: for names on display.
  public var skipUnset: Bool
  var quotes: Quotes
  /// Escape characters stay.
  var keepEscapes: Bool

  public init(escape: Character = "\\", rawQuotes: Bool = false, skipUnset: Bool = false) {
    self.init(escape: escape, quotes: rawQuotes ? .literal : .remove, skipUnset: skipUnset)
  }

  init(escape: Character = "\\", quotes: Quotes, keepEscapes: Bool = false, skipUnset: Bool = false) {
    self.escape = escape
    self.quotes = quotes
    self.keepEscapes = keepEscapes
    self.skipUnset = skipUnset
  }

  /// `word` with its variables replaced by what `lookup` gives, nil for unset.
  public func expand(_ word: String, _ lookup: (String) -> String?) throws -> String {
    try expansion(of: word, lookup).value
  }

  /// As `expand`, with the names of the variables.
  public func expansion(of word: String, _ lookup: (String) -> String?) throws -> Expansion {
    guard needsWork(word) else { return Expansion(value: word) }
    var lexer = WordLexer(word.scalars, self)
    do {
      let value = try lexer.run(lookup)
      return Expansion(value: String(scalars: value), used: lexer.used, unset: lexer.unset)
    } catch let error as ParseError {
      throw Failure("failed to process \(word.goQuoted)", error.reason, hint: error.hint)
    }
  }

  /// As `expand`, then split at white space outside of quotes; no empty words.
  public func expandWords(_ word: String, _ lookup: (String) -> String?) throws -> [String] {
    do {
      return try words(word.scalars, lookup)
    } catch let error as ParseError {
      throw Failure("failed to process \(word.goQuoted)", error.reason, hint: error.hint)
    }
  }

  func words(_ text: Scalars, _ lookup: (String) -> String?) throws -> [String] {
    var lexer = WordLexer(text, self)
    _ = try lexer.run(lookup)
    return lexer.words.finished.map { String(scalars: $0) }
  }

  private func needsWork(_ word: String) -> Bool {
    guard let escape = escape.utf8.first, self.escape.utf8.count == 1 else { return true }
    return word.utf8.contains {
      $0 == UInt8(ascii: "$") || $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "\"") || $0 == escape
    }
  }
}
