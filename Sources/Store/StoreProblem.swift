/// Something that `Store.check` found.
public struct StoreProblem: Sendable, Equatable, CustomStringConvertible {
  /// `blob sha256:...`, `image web:1`.
  public var object: String
  /// Lower case, no period.
  public var reason: String
  public var isRepaired: Bool

  public init(_ object: String, _ reason: String, isRepaired: Bool = false) {
    self.object = object
    self.reason = reason
    self.isRepaired = isRepaired
  }

  public var description: String { "\(object): \(reason)" + (isRepaired ? " (repaired)" : "") }
}
