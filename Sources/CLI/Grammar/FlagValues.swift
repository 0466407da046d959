/// What a command line says: the flags that were given and the arguments that are no flags.
struct FlagValues: Sendable, Equatable {
  /// Every value given, in order, by the flag's name.
  private var given: [String: [String]] = [:]
  /// What is left after the flags.
  var arguments: [String] = []

  init() {}

  /// Whether the flag was given at all.
  func has(_ name: String) -> Bool { given[name] != nil }

  /// The last value, or nil.
  func string(_ name: String) -> String? { given[name]?.last }

  /// All values, in order.
  func list(_ name: String) -> [String] { given[name] ?? [] }

  /// A bool flag's last value, false if it was not given.
  func bool(_ name: String) -> Bool { given[name]?.last.flatMap(FlagValues.parseBool) ?? false }

  /// An int flag's last value, or nil.
  func int(_ name: String) -> Int? { given[name]?.last.flatMap { Int($0) } }

  /// The names of the flags given, sorted.
  var names: [String] { given.keys.sorted() }

  mutating func add(_ name: String, _ value: String) { given[name, default: []].append(value) }

  /// Go's `strconv.ParseBool`; nil for any other word.
  static func parseBool(_ text: String) -> Bool? {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": true
    case "0", "f", "F", "false", "FALSE", "False": false
    default: nil
    }
  }
}
