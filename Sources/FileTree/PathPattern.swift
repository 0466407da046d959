internal import Core

/// A wildcard pattern as COPY knows it: Go's path/filepath.Match on Linux, over bytes.
///
/// `*` is any run of characters but `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` a class, `\` takes the next
/// character as it is. The pattern matches whole paths.
public struct PathPattern: Sendable {
  private let glob: Glob

  /// Throws a `Failure` if `pattern` is malformed: `[a`, `[]`, a `\` at its end.
  public init(_ pattern: [UInt8]) throws { glob = try Glob(pattern, dialect: .path) }

  /// As `init(_:)` of the UTF-8 bytes.
  public init(_ pattern: String) throws { try self.init(Array(pattern.utf8)) }

  /// Whether the whole of `path`, `a/b`, matches.
  public func matches(_ path: [UInt8]) -> Bool { glob.matches(Glob.characters(path)) }

  /// As `matches(_:)` of the UTF-8 bytes.
  public func matches(_ path: String) -> Bool { matches(Array(path.utf8)) }

  /// Whether `pattern` has a wildcard that no `\` takes away.
  public static func hasWildcard(_ pattern: some Sequence<UInt8>) -> Bool {
    var isEscaped = false
    for byte: UInt8 in pattern {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[") {
        return true
      }
    }
    return false
  }

  /// `pattern` with each `\x` replaced by `x`: the name that a pattern without wildcards means.
  public static func unescaped(_ pattern: some Sequence<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    var isEscaped = false
    for byte: UInt8 in pattern {
      if !isEscaped && byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else {
        out.append(byte)
        isEscaped = false
      }
    }
    if isEscaped { out.append(UInt8(ascii: "\\")) }
    return out
  }
}

/// A compiled wildcard pattern: a row of tokens, run as a non-deterministic automaton, so that no pattern can take
/// more time than its length times the text's.
struct Glob: Sendable {
  /// A Unicode scalar, or 0x110000 plus a byte that is no UTF-8.
  typealias Character = UInt32
  static let slash = Character(UInt8(ascii: "/"))

  enum Dialect {
    /// Go's filepath.Match.
    case path
    /// Docker's ignore files: also `**`.
    case ignore
  }

  private enum Token {
    case literal(Character)
    /// One character but `/`.
    case one
    /// Any run of characters but `/`.
    case run
    /// Anything.
    case anything
    /// Nothing, or anything that ends with `/`.
    case directories
    case oneOf(ranges: [ClosedRange<Character>], isNegated: Bool)
  }

  private let tokens: [Token]
  /// How many tokens at the start are literals: compared before the automaton is started.
  private let literals: [Character]
  /// The literals at the end: most texts are told apart by them alone.
  private let ending: [Character]

  init(_ pattern: [UInt8], dialect: Dialect) throws {
    var parser = Parser(text: Glob.characters(pattern), shown: String(decoding: pattern, as: UTF8.self))
    tokens = try parser.parse(dialect)
    let characters = tokens.map { token -> Character? in
      if case .literal(let character) = token { character } else { nil }
    }
    literals = characters.prefix { $0 != nil }.compactMap { $0 }
    ending = characters.reversed().prefix { $0 != nil }.compactMap { $0 }.reversed()
  }

  /// `bytes` as characters.
  static func characters(_ bytes: some Collection<UInt8>) -> [Character] {
    if bytes.allSatisfy({ $0 < 0x80 }) { return bytes.map { Character($0) } }
    var out: [Character] = []
    var rest = Array(bytes)[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
      if let text = String(validating: rest.prefix(length), as: UTF8.self), let scalar = text.unicodeScalars.first,
        text.unicodeScalars.count == 1
      {
        out.append(scalar.value)
        rest = rest.dropFirst(length)
      } else {
        out.append(0x110000 + Character(first))
        rest = rest.dropFirst()
      }
    }
    return out
  }

  /// Whether all of `text` matches.
  func matches(_ text: ArraySlice<Character>) -> Bool {
    guard text.count >= ending.count, text.suffix(ending.count) == ending[...] else { return false }
    if literals.count == tokens.count { return text.count == literals.count }
    guard text.starts(with: literals) else { return false }
    return run(text) { states, final in states[final >> 6] & (1 << UInt64(final & 63)) != 0 }
  }

  /// As `matches(_:)`.
  func matches(_ text: [Character]) -> Bool { matches(text[...]) }

  /// Whether something that begins with `text` can match.
  func couldMatch(after text: [Character]) -> Bool {
    let n = min(text.count, literals.count)
    guard text[..<n].elementsEqual(literals[..<n]) else { return false }
    return run(text) { states, _ in states.contains { $0 != 0 } }
  }

  /// State `2i` stands before token `i`; `2i + 1` is within it (`.directories` only).
  private func run(
    _ text: some Collection<Character>, _ verdict: (UnsafeMutableBufferPointer<UInt64>, Int) -> Bool
  ) -> Bool {
    let final = 2 * tokens.count
    let words = final / 64 + 1
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * words) { memory in
      memory.initialize(repeating: 0)
      var states = UnsafeMutableBufferPointer(rebasing: memory[..<words])
      var next = UnsafeMutableBufferPointer(rebasing: memory[words...])
      enter(0, &states)
      for character: Character in text {
        next.update(repeating: 0)
        var isAlive = false
        for word in 0..<words {
          var bits = states[word]
          while bits != 0 {
            let state = word * 64 + bits.trailingZeroBitCount
            bits &= bits - 1
            isAlive = true
            if state < final { step(state, character, &next) }
          }
        }
        if !isAlive { return false }
        swap(&states, &next)
      }
      return verdict(states, final)
    }
  }

  /// Adds `state` and all that it reaches without a character.
  private func enter(_ state: Int, _ states: inout UnsafeMutableBufferPointer<UInt64>) {
    var state = state
    while true {
      states[state >> 6] |= 1 << UInt64(state & 63)
      guard state & 1 == 0, state < 2 * tokens.count else { return }
      switch tokens[state / 2] {
      case .run, .anything, .directories: state += 2
      case .literal, .one, .oneOf: return
      }
    }
  }

  private func step(_ state: Int, _ character: Character, _ next: inout UnsafeMutableBufferPointer<UInt64>) {
    let token = state & ~1
    switch tokens[state / 2] {
    case .literal(let wanted): if character == wanted { enter(token + 2, &next) }
    case .one: if character != Glob.slash { enter(token + 2, &next) }
    case .run: if character != Glob.slash { enter(token, &next) }
    case .anything: enter(token, &next)
    case .directories:
      enter(token + 1, &next)
      if character == Glob.slash { enter(token + 2, &next) }
    case .oneOf(let ranges, let isNegated):
      if ranges.contains(where: { $0.contains(character) }) != isNegated { enter(token + 2, &next) }
    }
  }

  private struct Parser {
    let text: [Character]
    let shown: String
    var at = 0

    init(text: [Character], shown: String) {
      self.text = text
      self.shown = shown
    }

    mutating func parse(_ dialect: Dialect) throws -> [Token] {
      var out: [Token] = []
      var isPlain = true  // nothing but literals after a first `**`
      while at < text.count {
        let character = text[at]
        at += 1
        switch character {
        case Character(UInt8(ascii: "*")):
          if dialect == .ignore, at < text.count, text[at] == character {
            if at != 1 { isPlain = false }
            out.append(doubleStar())
          } else {
            isPlain = false
            out.append(.run)
          }
        case Character(UInt8(ascii: "?")):
          isPlain = false
          out.append(.one)
        case Character(UInt8(ascii: "[")):
          isPlain = false
          out.append(try parseClass())
        case Character(UInt8(ascii: "\\")):
          guard at < text.count else { throw malformed() }
          isPlain = false
          out.append(.literal(text[at]))
          at += 1
        default: out.append(.literal(character))
        }
      }
      // `**file` alone is "ends with file"; with any other wildcard it is "file in any directory" (patternmatcher).
      if dialect == .ignore, isPlain, case .directories? = out.first, text.count > 2, text[2] != Glob.slash {
        out[0] = .anything
      }
      return out
    }

    /// The rest of a `**` whose first star has been read; it takes a `/` after it.
    private mutating func doubleStar() -> Token {
      at += 1
      if at < text.count, text[at] == Glob.slash { at += 1 }
      return at == text.count ? .anything : .directories
    }

    private mutating func parseClass() throws -> Token {
      var isNegated = false
      if at < text.count, text[at] == Character(UInt8(ascii: "^")) {
        isNegated = true
        at += 1
      }
      var ranges: [ClosedRange<Character>] = []
      while true {
        if at < text.count, text[at] == Character(UInt8(ascii: "]")), !ranges.isEmpty {
          at += 1
          return .oneOf(ranges: ranges.filter { $0.upperBound != .max }, isNegated: isNegated)
        }
        let low = try classMember()
        var high = low
        if text[at] == Character(UInt8(ascii: "-")) {
          at += 1
          high = try classMember()
        }
        // A range that runs backwards holds nothing, but counts as a member.
        ranges.append(low <= high ? low...high : .max ... .max)
      }
    }

    /// One end of a range; something always follows it.
    private mutating func classMember() throws -> Character {
      guard at < text.count, text[at] != Character(UInt8(ascii: "-")), text[at] != Character(UInt8(ascii: "]")) else {
        throw malformed()
      }
      if text[at] == Character(UInt8(ascii: "\\")) { at += 1 }
      guard at + 1 < text.count, text[at] < 0x110000 else { throw malformed() }
      at += 1
      return text[at - 1]
    }

    private func malformed() -> Failure { Failure("read pattern \"\(shown)\"", "syntax error in pattern") }
  }
}
