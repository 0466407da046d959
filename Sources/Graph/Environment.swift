/// Variables in the order in which they were first set.
struct Environment: Sendable, Equatable {
  private(set) var names: [String] = []
  private var values: [String: String] = [:]

  init() {}

  /// The variables of `NAME=value` entries; an entry without `=` has an empty value.
  init(_ entries: [String]) { set(entries) }

  subscript(name: String) -> String? { values[name] }

  mutating func set(_ name: String, _ value: String) {
    if values.updateValue(value, forKey: name) == nil { names.append(name) }
  }

  mutating func set(_ entries: [String]) {
    for entry in entries {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      set(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
  }

  /// `NAME=value` entries.
  var entries: [String] { names.map { "\($0)=\(values[$0] ?? "")" } }
}
