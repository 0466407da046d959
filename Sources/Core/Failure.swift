/// What is told to a person when a request can't be met: `verb object: reason`, lower case, no period.
///
/// It is reported once, at the door (CLI, API). `hint` names an action, or is nil.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// What a caller may want to tell apart without reading the text.
  public enum Kind: Sendable {
    case other
    /// There is no image or container of the name that the user gave.
    case notFound
    /// A disk has no room, or a quota is used up.
    case noSpace
  }

  /// The verb and its object as the user wrote it, `open ./Dockerfile`. May be empty.
  public var action: String
  /// Why it failed, `no such file or directory`.
  public var reason: String
  /// What to do about it, or nil.
  public var hint: String?
  /// The exit code of the process: 1, 125 for usage errors, or a container's own.
  public var exitCode: Int32
  /// Places in the user's files that explain the failure, most important first.
  public var diagnostics: [Diagnostic]
  public var kind: Kind

  public init(
    _ action: String, _ reason: String, hint: String? = nil, exitCode: Int32 = 1, diagnostics: [Diagnostic] = [],
    kind: Kind = .other
  ) {
    self.action = action
    self.reason = reason
    self.hint = hint
    self.exitCode = exitCode
    self.diagnostics = diagnostics
    self.kind = kind
  }

  /// A feature that Stave knows and does not have yet; `feature` names it as the user wrote it.
  public static func notSupportedYet(_ feature: String, hint: String? = nil, at diagnostic: Diagnostic? = nil)
    -> Failure
  {
    Failure(feature, "not supported yet", hint: hint, diagnostics: diagnostic.map { [$0] } ?? [])
  }

  /// What to do where a disk has no room.
  public static let makeRoom =
    "make room on that disk: \"stave system df\" shows what the store takes, \"stave builder prune\" and "
    + "\"stave image prune\" give it back"

  /// `action: reason` on one line.
  public var description: String { action.isEmpty ? reason : "\(action): \(reason)" }

  /// The same failure with `outer` in front of its action.
  public func during(_ outer: String) -> Failure {
    var copy = self
    copy.action = action.isEmpty ? outer : "\(outer): \(action)"
    return copy
  }
}

/// One remark on a place in a text that the user wrote.
public struct Diagnostic: Sendable, Equatable {
  public enum Severity: String, Sendable { case error, warning, note }

  public var severity: Severity
  /// Lower case, no period.
  public var message: String
  /// The file as the user named it, `Dockerfile`.
  public var file: String
  /// Lines of `file`, or nil when it is about the whole file.
  public var range: SourceRange?
  /// The text of `file`, from which `excerpt` is taken; nil when unknown.
  public var source: String?
  public var hint: String?

  public init(
    _ severity: Severity, _ message: String, file: String = "", range: SourceRange? = nil, source: String? = nil,
    hint: String? = nil
  ) {
    self.severity = severity
    self.message = message
    self.file = file
    self.range = range
    self.source = source
    self.hint = hint
  }

  /// `Dockerfile:12`, the lines around the range with `>>>` on those within, as BuildKit prints; nil without a source.
  /// A one-line range gets up to four lines around it, a longer one two.
  public var excerpt: String? {
    guard let source, let range else { return nil }
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.last == "\r" ? line.dropLast() : line
    }
    guard range.first >= 1, range.first <= lines.count else { return nil }
    let last = min(max(range.last, range.first), lines.count)
    var low = range.first
    var high = last
    var pad = range.first == last ? 4 : 2
    let bottom = lines.last?.isEmpty == true ? lines.count - 1 : lines.count
    while pad > 0 && (low > 1 || high < bottom) {
      if low > 1 { low -= 1 }
      if high < bottom { high += 1 }
      pad -= 1
    }
    var out = "\(file):\(range.first)\n--------------------\n"
    let width = max(3, String(high).count)
    for number in low...max(low, high) {
      let mark = number >= range.first && number <= last ? ">>> " : "    "
      let digits = String(number)
      out += String(repeating: " ", count: width - digits.count + 1) + "\(digits) | \(mark)\(lines[number - 1])\n"
    }
    return out + "--------------------"
  }
}

/// Whole lines of a source text, counted from 1, both ends included.
public struct SourceRange: Sendable, Hashable, CustomStringConvertible {
  public var first: Int
  public var last: Int
  public init(_ first: Int, _ last: Int) {
    self.first = first
    self.last = last
  }
  /// `3` or `3-5`.
  public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}
