internal import Core

/// Reads a command line in the grammar of Docker's: long flags with `=` or a following value, optional values, bundled
/// short flags (`-it`, `-eK=V`, `-p80:80`), `--` ends the flags.
///
/// Errors have pflag's words and carry no command name: the caller adds where to look for help.
struct FlagParser {
  // A command has some dozens, and few are given: looking through them is cheaper than making a dictionary.
  private let flags: [Flag]
  /// False where the first argument ends the flags: `run IMAGE --not-ours`.
  private let isInterspersed: Bool

  init(flags: [Flag], isInterspersed: Bool) {
    self.flags = flags
    self.isInterspersed = isInterspersed
  }

  /// Parses all of `words`; throws a `Failure` with an empty action.
  func parse(_ words: [String]) throws -> FlagValues {
    var values = FlagValues()
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        values.arguments += rest
        break
      }
      if word.hasPrefix("--") {
        try long(word, &rest, &values)
      } else if word.hasPrefix("-"), word.count > 1 {
        try short(word, &rest, &values)
      } else {
        values.arguments.append(word)
        if !isInterspersed {
          values.arguments += rest
          break
        }
      }
    }
    return values
  }

  private func long(_ word: String, _ rest: inout ArraySlice<String>, _ values: inout FlagValues) throws {
    let body = word.dropFirst(2)
    let name = String(body.prefix { $0 != "=" })
    guard !name.isEmpty, !name.hasPrefix("-") else { throw usage("bad flag syntax: \(word)") }
    guard let flag = flags.first(where: { $0.name == name }) else {
      let visible = flags.filter { !$0.isHidden }.map { "--" + $0.name }.sorted()
      throw usage("unknown flag: --\(name)" + didYouMean("--" + name, in: visible))
    }
    if let equals = body.firstIndex(of: "=") {
      try set(flag, String(body[body.index(after: equals)...]), &values)
    } else if let implied = flag.impliedValue {
      try set(flag, implied, &values)
    } else if let next = rest.popFirst() {
      try set(flag, next, &values)
    } else {
      throw usage("flag needs an argument: --\(name)")
    }
  }

  private func short(_ word: String, _ rest: inout ArraySlice<String>, _ values: inout FlagValues) throws {
    var letters = word.dropFirst()
    while let letter = letters.popFirst() {
      guard let flag = flags.first(where: { $0.short == letter }) else {
        throw usage("unknown shorthand flag: '\(letter)' in \(word)")
      }
      if letters.first == "=" && letters.count > 1 {
        return try set(flag, String(letters.dropFirst()), &values)
      }
      if let implied = flag.impliedValue {
        try set(flag, implied, &values)
        continue
      }
      if !letters.isEmpty { return try set(flag, String(letters), &values) }
      guard let next = rest.popFirst() else { throw usage("flag needs an argument: '\(letter)' in \(word)") }
      return try set(flag, next, &values)
    }
  }

  private func set(_ flag: Flag, _ value: String, _ values: inout FlagValues) throws {
    let reason: String? =
      switch flag.kind {
      case .bool where FlagValues.parseBool(value) == nil: "expected true or false"
      case .int where Int(value) == nil: "expected a whole number"
      default: nil
      }
    if let reason { throw usage("invalid argument \"\(value)\" for \"\(flag.spelling)\" flag: \(reason)") }
    values.add(flag.name, value)
  }

  private func usage(_ reason: String) -> Failure { Failure("", reason, exitCode: 125) }
}
