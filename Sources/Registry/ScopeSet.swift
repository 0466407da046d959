/// What a token allows: actions on resources, `repository:library/busybox` and `pull`.
struct ScopeSet: Sendable, Hashable {
  private var actions: [String: Set<String>] = [:]

  static let none = ScopeSet()

  static func pull(_ repository: String) -> ScopeSet { ScopeSet("repository:\(repository)", ["pull"]) }
  static func push(_ repository: String) -> ScopeSet { ScopeSet("repository:\(repository)", ["pull", "push"]) }

  private init() {}
  private init(_ resource: String, _ actions: Set<String>) { self.actions = [resource: actions] }

  /// Reads `repository:a:pull,push repository:b:pull`, the scope of a challenge; what is malformed is left out.
  init(text: String) {
    for word in text.split(separator: " ").prefix(32) {
      guard let colon = word.lastIndex(of: ":"), word.utf8.count <= 1024 else { continue }
      let names = word[word.index(after: colon)...].split(separator: ",").prefix(16).map(String.init)
      actions[String(word[..<colon]), default: []].formUnion(names)
    }
  }

  func union(_ other: ScopeSet) -> ScopeSet {
    var out = self
    out.actions.merge(other.actions) { $0.union($1) }
    return out
  }

  /// Whether everything in `other` is in this one.
  func covers(_ other: ScopeSet) -> Bool {
    other.actions.allSatisfy { $0.value.isSubset(of: actions[$0.key] ?? []) }
  }

  /// `repository:a:pull,push`, sorted.
  var texts: [String] {
    actions.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.sorted().joined(separator: ","))" }
  }
}
