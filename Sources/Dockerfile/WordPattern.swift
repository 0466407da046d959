/// A pattern of `${v#p}` and `${v/p/r}`: `*`, `?` and backslash escapes, no brackets. Neither matches a newline.
struct WordPattern {
  private enum Token: Equatable {
    case scalar(Unicode.Scalar)
    case any
    case star
  }

  private var tokens: [Token] = []

  /// Throws when a backslash stands before anything but `*`, `?`, `\`, `}` and `/`.
  init(_ text: ArraySlice<Unicode.Scalar>) throws {
    var at = text.startIndex
    while at < text.endIndex {
      var scalar = text[at]
      at += 1
      switch scalar {
      case "*": tokens.append(.star)
      case "?": tokens.append(.any)
      case "\\":
        guard at < text.endIndex, "*?\\}/".unicodeScalars.contains(text[at]) else {
          let escaped = at < text.endIndex ? String(Character(text[at])) : ""
          let pattern = String(scalars: text)
          throw ParseError("invalid pattern (\(pattern)) in substitution: invalid escape '\\\(escaped)'")
        }
        scalar = text[at]
        at += 1
        tokens.append(.scalar(scalar))
      default: tokens.append(.scalar(scalar))
      }
    }
  }

  /// `value` without its shortest or longest beginning that matches.
  func trimPrefix(_ value: [Unicode.Scalar], longest: Bool) -> [Unicode.Scalar] {
    guard let end = WordPattern.match(tokens, value, from: 0, longest: longest) else { return value }
    return Array(value[end...])
  }

  /// `value` without its shortest or longest ending that matches.
  func trimSuffix(_ value: [Unicode.Scalar], longest: Bool) -> [Unicode.Scalar] {
    let backwards = Array(value.reversed())
    guard let end = WordPattern.match(tokens.reversed(), backwards, from: 0, longest: longest) else { return value }
    return Array(value[..<(value.count - end)])
  }

  /// `value` with the first or every longest match replaced.
  func replace(in value: [Unicode.Scalar], by replacement: [Unicode.Scalar], all: Bool) -> [Unicode.Scalar] {
    var out: [Unicode.Scalar] = []
    var copied = 0
    var start = 0
    while start <= value.count {
      guard let end = WordPattern.match(tokens, value, from: start, longest: true) else {
        start += 1
        continue
      }
      out += value[copied..<start]
      // An empty match right behind another match is none.
      if end > copied || start == 0 { out += replacement }
      copied = end
      if !all { break }
      start = max(end, start + 1)
    }
    return copied < value.count ? out + value[copied...] : out
  }

  /// The end of the shortest or longest match that begins at `start`, or nil. Time is at most tokens times scalars.
  private static func match(
    _ tokens: [Token], _ value: [Unicode.Scalar], from start: Int, longest: Bool
  ) -> Int? {
    // The tokens that a match so far may be in front of, all paths at once.
    var states: [Int] = [0]
    var best: Int?
    var at = start
    while true {
      states = reachable(states, tokens)
      if states.last == tokens.count {
        best = at
        if !longest { return best }
      }
      guard at < value.count, !states.isEmpty else { return best }
      states = step(states, tokens, value[at])
      at += 1
    }
  }

  /// `states`, ascending, and those behind the stars among them.
  private static func reachable(_ states: [Int], _ tokens: [Token]) -> [Int] {
    var out: [Int] = []
    for state in states {
      var state = state
      while out.last.map({ $0 < state }) ?? true {
        out.append(state)
        guard state < tokens.count, tokens[state] == .star else { break }
        state += 1
      }
    }
    return out
  }

  private static func step(_ states: [Int], _ tokens: [Token], _ scalar: Unicode.Scalar) -> [Int] {
    var out: [Int] = []
    for state in states where state < tokens.count {
      let next: Int?
      switch tokens[state] {
      case .scalar(let wanted): next = wanted == scalar ? state + 1 : nil
      case .any: next = scalar == "\n" ? nil : state + 1
      case .star: next = scalar == "\n" ? nil : state
      }
      if let next, out.last.map({ $0 < next }) ?? true { out.append(next) }
    }
    return out
  }
}
