internal import Core

/// Why a text is no Dockerfile, before it is known which file and text it came from.
struct ParseError: Error {
  var reason: String
  /// nil when it is about the file as a whole.
  var range: SourceRange?
  var hint: String?

  init(_ reason: String, at range: SourceRange? = nil, hint: String? = nil) {
    self.reason = reason
    self.range = range
    self.hint = hint
  }

  /// The same error at `range`, unless it has a place already.
  func located(_ range: SourceRange) -> ParseError {
    var copy = self
    copy.range = self.range ?? range
    return copy
  }

  /// What a person is told: `dockerfile parse error on line 4: unknown instruction: FOO`, with the lines around it.
  func failure(file: String, source: String) -> Failure {
    let diagnostic = Diagnostic(.error, reason, file: file, range: range, source: source, hint: hint)
    let action = range.map { "dockerfile parse error on line \($0.first)" } ?? ""
    return Failure(action, reason, hint: hint, diagnostics: [diagnostic])
  }
}
