public import Core

/// The patterns of an ignore file, ready to be asked: moby/patternmatcher, MatchesOrParentMatches.
///
/// A pattern also matches everything below a directory that it matches. The last pattern that matches a path decides:
/// it is ignored, or with `!` it is not.
public struct IgnorePatterns: Sendable {
  private struct Pattern: Sendable {
    var line: IgnoreLine
    var isException: Bool
    var glob: Glob
  }

  /// What the patterns say of one path, from which its children's state is made cheaply.
  struct State: Sendable {
    fileprivate var matches: [Bool]
    /// The pattern that decided, if the path is ignored.
    fileprivate(set) var decidedBy: Int?
    var isMatched: Bool { decidedBy != nil }
  }

  private let patterns: [Pattern]
  private let hasExceptions: Bool

  /// Compiles `lines`. Throws a `Failure` that names the line of a malformed pattern.
  public init(_ lines: [IgnoreLine]) throws {
    var out: [Pattern] = []
    for line: IgnoreLine in lines {
      var text = IgnoreFile.trimmed(line.pattern)
      if text.isEmpty { continue }
      text = CleanPath.clean(text)
      let isException = text.utf8.first == UInt8(ascii: "!")
      if isException {
        guard text.utf8.count > 1 else {
          throw Failure(IgnorePatterns.action(line), "illegal exclusion pattern: \"!\"")
        }
        text = String(text.unicodeScalars.dropFirst())
      }
      do {
        out.append(Pattern(line: line, isException: isException, glob: try Glob(Array(text.utf8), dialect: .ignore)))
      } catch let failure as Failure {
        throw line.file.isEmpty ? failure : Failure(IgnorePatterns.action(line), failure.reason)
      }
    }
    patterns = out
    hasExceptions = out.contains { $0.isException }
  }

  private static func action(_ line: IgnoreLine) -> String {
    line.file.isEmpty
      ? "read pattern \"\(line.pattern)\"" : "read \(line.file) line \(line.number): \(line.pattern)"
  }

  /// As `init(_:)`; a pattern's number is its place, from 1.
  public init(patterns: [String]) throws {
    try self.init(patterns.enumerated().map { IgnoreLine(number: $0.offset + 1, pattern: $0.element) })
  }

  /// The patterns of `file`.
  public init(_ file: IgnoreFile) throws { try self.init(file.lines) }

  public var isEmpty: Bool { patterns.isEmpty }

  /// Whether `path` is ignored. The root never is.
  public func matches(_ path: TreePath) -> Bool { !path.isRoot && state(path).isMatched }

  /// The line that makes `path` ignored, or nil if it is not.
  public func explain(_ path: TreePath) -> IgnoreLine? {
    path.isRoot ? nil : state(path).decidedBy.map { patterns[$0].line }
  }

  /// Whether an exception could bring back something below the directory `path`.
  public func couldContainExceptions(_ path: TreePath) -> Bool {
    guard hasExceptions else { return false }
    let text = Glob.characters(path.bytes) + (path.isRoot ? [] : [Glob.slash])
    return patterns.contains { $0.isException && $0.glob.couldMatch(after: text) }
  }

  /// What the patterns say of `path` (of the root: nothing matches).
  func state(_ path: TreePath) -> State {
    path.isRoot ? State(matches: [Bool](repeating: false, count: patterns.count)) : state(text: path.bytes)
  }

  /// What the patterns say of the cleaned path `text`, whose ancestors are its parts before each slash.
  func state(text: [UInt8]) -> State {
    var state = State(matches: [Bool](repeating: false, count: patterns.count))
    let characters = Glob.characters(text)
    for end: Int in characters.indices where characters[end] == Glob.slash { add(characters[..<end], to: &state) }
    add(characters[...], to: &state)
    decide(&state)
    return state
  }

  /// What the patterns say of `path`, whose parent's state is `parent`.
  func state(_ path: TreePath, below parent: State) -> State {
    var state = parent
    add(Glob.characters(path.bytes)[...], to: &state)
    decide(&state)
    return state
  }

  private func add(_ text: ArraySlice<Glob.Character>, to state: inout State) {
    for i: Int in patterns.indices where !state.matches[i] { state.matches[i] = patterns[i].glob.matches(text) }
  }

  private func decide(_ state: inout State) {
    state.decidedBy = nil
    for i: Int in patterns.indices where state.matches[i] {
      if patterns[i].isException {
        state.decidedBy = nil
      } else if state.decidedBy == nil {
        state.decidedBy = i
      }
    }
  }
}

/// Answers to the batch questions of `stave debug`: what a conformance suite asks of this module.
public enum FileTreeDebug {
  /// Of `{"content": text}` the patterns, `{"patterns": [..]}`; of `{"patterns": [..], "path": text}` whether the path
  /// is ignored, `{"match": bool}`; `{"error": text}` for a malformed pattern or element.
  public static func ignore(_ element: JSON) -> JSON {
    do {
      if let content = element["content"]?.string {
        return .object(["patterns": .strings(try IgnoreFile(content).lines.map(\.pattern))])
      }
      guard let patterns = element["patterns"]?.array, let path = element["path"]?.string else {
        return .object(["error": "expected content, or patterns and path"])
      }
      let matcher = try IgnorePatterns(patterns: patterns.map { $0.string ?? "" })
      let clean = CleanPath.clean(path)
      return .object(["match": .bool(clean != "." && matcher.state(text: Array(clean.utf8)).isMatched)])
    } catch {
      return .object(["error": .string("\(error)")])
    }
  }
}
