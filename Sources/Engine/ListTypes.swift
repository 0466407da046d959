/// How `manifest create` makes a list.
public struct ListRequest: Sendable {
  /// Whether it may be there already.
  public var amends = false
  /// Whether a name of a list stands for all its manifests.
  public var takesAll = false
  /// Annotations of the list itself.
  public var annotations: [String: String] = [:]
  public init() {}
}
