/// One pass over a word: the state behind `WordExpander`.
struct WordLexer {
  /// The deepest `${a:-${b:-..}}`.
  static let maximumNesting = 64

  private let source: Scalars
  private let options: WordExpander
  private let escape: Unicode.Scalar
  private var at: Int
  private var keepEscapes: Bool
  private var depth = 0
  private(set) var used: [String] = []
  private(set) var unset: [String] = []
  /// What `run` found, split into words.
  private(set) var words = WordList()

  init(_ source: Scalars, _ options: WordExpander) {
    self.source = source
    self.options = options
    escape = options.escape.unicodeScalars.first ?? "\\"
    at = source.startIndex
    keepEscapes = options.keepEscapes
  }

  private var peek: Unicode.Scalar? { at < source.endIndex ? source[at] : nil }

  private mutating func next() -> Unicode.Scalar? {
    guard at < source.endIndex else { return nil }
    defer { at += 1 }
    return source[at]
  }

  /// The whole word, expanded.
  mutating func run(_ lookup: (String) -> String?) throws -> [Unicode.Scalar] {
    var words = WordList()
    let out = try text(until: nil, lookup, words: &words)
    self.words = words
    return out
  }

  /// Expands up to and with `stop`, which it leaves out.
  private mutating func text(
    until stop: Unicode.Scalar?, _ lookup: (String) -> String?, words: inout WordList
  ) throws -> [Unicode.Scalar] {
    var out: [Unicode.Scalar] = []
    while let scalar = peek {
      if scalar == stop {
        at += 1
        return out
      }
      switch scalar {
      case "$":
        let value = try dollar(lookup)
        out += value
        for scalar in value { words.add(scalar) }
      case "'" where options.quotes != .literal, "\"" where options.quotes != .literal:
        let value = try scalar == "'" ? singleQuoted() : doubleQuoted(lookup)
        out += value
        words.addQuoted(value)
      case "<":
        let value = angles()
        out += value
        words.addQuoted(value)
      default:
        at += 1
        guard scalar == escape else {
          out.append(scalar)
          words.add(scalar)
          continue
        }
        if keepEscapes {
          out.append(scalar)
          words.addQuoted([scalar])
        }
        // An escape at the end is dropped.
        guard let escaped = next() else { break }
        out.append(escaped)
        words.addQuoted([escaped])
      }
    }
    if let stop {
      throw ParseError("unexpected end of statement while looking for matching \(Character(stop))")
    }
    return out
  }

  /// `<`, or `<<` with the blanks after it, which belong to the name of a here-document.
  private mutating func angles() -> [Unicode.Scalar] {
    at += 1
    guard peek == "<" else { return ["<"] }
    at += 1
    var out: [Unicode.Scalar] = ["<", "<"]
    while let scalar = peek, scalar == " " || scalar == "\t" || scalar == "\r" {
      out.append(scalar)
      at += 1
    }
    return out
  }

  private mutating func singleQuoted() throws -> [Unicode.Scalar] {
    let start = at
    at += 1
    while let scalar = next() {
      guard scalar == "'" else { continue }
      return Array(options.quotes == .keep ? source[start..<at] : source[(start + 1)..<(at - 1)])
    }
    throw ParseError("unexpected end of statement while looking for matching single-quote")
  }

  private mutating func doubleQuoted(_ lookup: (String) -> String?) throws -> [Unicode.Scalar] {
    at += 1
    var out: [Unicode.Scalar] = options.quotes == .keep ? ["\""] : []
    while let scalar = peek {
      if scalar == "$" {
        out += try dollar(lookup)
        continue
      }
      at += 1
      if scalar == "\"" {
        if options.quotes == .keep { out.append(scalar) }
        return out
      }
      guard scalar == escape else {
        out.append(scalar)
        continue
      }
      if keepEscapes { out.append(scalar) }
      guard let escaped = peek else { break }
      // Only these are escaped within double quotes; before any other the escape itself stays.
      if escaped == "\"" || escaped == "$" || escaped == escape {
        at += 1
        out.append(escaped)
      } else {
        out.append(scalar)
      }
    }
    throw ParseError("unexpected end of statement while looking for matching double-quote")
  }

  /// `$name` or `${..}`, from the dollar.
  private mutating func dollar(_ lookup: (String) -> String?) throws -> [Unicode.Scalar] {
    at += 1
    guard peek == "{" else {
      let name = name()
      if name.isEmpty { return ["$"] }
      let value = variable(name, lookup)
      if value == nil && options.skipUnset { return Array("$\(name)".unicodeScalars) }
      return Array((value ?? "").unicodeScalars)
    }
    at += 1
    guard let first = peek else { throw ParseError("syntax error: missing '}'") }
    if first == "{" || first == "}" || first == ":" { throw ParseError("syntax error: bad substitution") }
    guard depth < WordLexer.maximumNesting else {
      throw ParseError("substitutions nested more than \(WordLexer.maximumNesting) deep")
    }
    depth += 1
    defer { depth -= 1 }
    return try substitution(of: name(), lookup)
  }

  /// From behind the name in `${name`.
  private mutating func substitution(
    of name: String, _ lookup: (String) -> String?
  ) throws -> [Unicode.Scalar] {
    guard let modifier = next() else { throw ParseError("syntax error: missing '}'") }
    switch modifier {
    case "}":
      let value = variable(name, lookup)
      if value == nil && options.skipUnset { return Array("${\(name)}".unicodeScalars) }
      return Array((value ?? "").unicodeScalars)
    case ":":
      guard let modifier = next() else { throw ParseError("syntax error: missing '}'") }
      return try modified(name, by: modifier, emptyIsUnset: true, lookup)
    case "+", "-", "?", "#", "%": return try modified(name, by: modifier, emptyIsUnset: false, lookup)
    case "/": return try replaced(name, lookup)
    default: throw ParseError("unsupported modifier (\(Character(modifier))) in substitution")
    }
  }

  private mutating func modified(
    _ name: String, by modifier: Unicode.Scalar, emptyIsUnset: Bool, _ lookup: (String) -> String?
  ) throws -> [Unicode.Scalar] {
    let written = emptyIsUnset ? ":\(Character(modifier))" : String(Character(modifier))
    let isPattern = modifier == "#" || modifier == "%"
    let word = try operand(until: "}", keepEscapes: isPattern, lookup)
    let value = variable(name, lookup)
    if value == nil && options.skipUnset {
      return Array("${\(name)\(written)".unicodeScalars) + word + ["}"]
    }
    let scalars: [Unicode.Scalar] = Array((value ?? "").unicodeScalars)
    let isMissing = value == nil || (emptyIsUnset && scalars.isEmpty)
    switch modifier {
    case "-": return isMissing ? word : scalars
    case "+": return isMissing ? [] : word
    case "?":
      guard isMissing else { return scalars }
      let reason = value == nil ? "is not allowed to be unset" : "is not allowed to be empty"
      throw ParseError("\(name): \(word.isEmpty ? reason : String(scalars: word))")
    case "#" where !emptyIsUnset, "%" where !emptyIsUnset:
      let isLongest = word.first == modifier
      let pattern = try WordPattern(isLongest ? word.dropFirst() : word[...])
      return modifier == "#"
        ? pattern.trimPrefix(scalars, longest: isLongest) : pattern.trimSuffix(scalars, longest: isLongest)
    default: throw ParseError("unsupported modifier (\(written)) in substitution")
    }
  }

  private mutating func replaced(_ name: String, _ lookup: (String) -> String?) throws -> [Unicode.Scalar] {
    let all = peek == "/"
    if all { at += 1 }
    let pattern = try operand(until: "/", keepEscapes: true, lookup)
    let replacement = try operand(until: "}", keepEscapes: true, lookup)
    guard let value = variable(name, lookup) else {
      guard options.skipUnset else { return try WordPattern(pattern[...]).replace(in: [], by: replacement, all: all) }
      return Array("${\(name)\(all ? "//" : "/")".unicodeScalars) + pattern + ["/"] + replacement + ["}"]
    }
    return try WordPattern(pattern[...]).replace(in: Array(value.unicodeScalars), by: replacement, all: all)
  }

  /// The word of a modifier, expanded.
  private mutating func operand(
    until stop: Unicode.Scalar, keepEscapes keep: Bool, _ lookup: (String) -> String?
  ) throws -> [Unicode.Scalar] {
    let before = keepEscapes
    keepEscapes = keep
    defer { keepEscapes = before }
    do {
      var words = WordList()
      return try text(until: stop, lookup, words: &words)
    } catch let error as ParseError {
      // Where the text ended, the missing bracket is the reason that a person can use.
      guard peek == nil else { throw error }
      throw ParseError(stop == "}" ? "syntax error: missing '}'" : "syntax error: missing '/' in ${}")
    }
  }

  /// A name: letters, digits and `_`; or digits alone; or one special parameter.
  private mutating func name() -> String {
    guard let first = peek else { return "" }
    let start = at
    if first.isDigit {
      while let scalar = peek, scalar.isDigit { at += 1 }
    } else if "@*#?-$!".unicodeScalars.contains(first) {
      at += 1
    } else {
      while let scalar = peek, scalar.isLetter || scalar.isDigit || scalar == "_" { at += 1 }
    }
    return String(scalars: source[start..<at])
  }

  private mutating func variable(_ name: String, _ lookup: (String) -> String?) -> String? {
    guard let value = lookup(name) else {
      if !unset.contains(name) { unset.append(name) }
      return nil
    }
    if !used.contains(name) { used.append(name) }
    return value
  }
}

/// Collects words: white space parts them unless it was quoted.
struct WordList {
  private var words: [[Unicode.Scalar]] = []
  private var word: [Unicode.Scalar] = []

  /// A scalar that was not quoted.
  mutating func add(_ scalar: Unicode.Scalar) {
    guard scalar.isBlank else { return word.append(scalar) }
    if !word.isEmpty { words.append(word) }
    word = []
  }

  /// Text that is part of the word whatever it holds.
  mutating func addQuoted(_ text: [Unicode.Scalar]) { word += text }

  /// All words, none empty.
  var finished: [[Unicode.Scalar]] { word.isEmpty ? words : words + [word] }
}
