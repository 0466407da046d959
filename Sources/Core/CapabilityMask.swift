/// A set of capabilities as the kernel has it: a bit each, by number (capabilities(7)).
///
/// In place of a `Set`: the first of a type costs a start a tenth of a millisecond in the runtime's search for what the
/// type conforms to.
public struct CapabilityMask: OptionSet, Sendable {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(_ capabilities: [Capability]) {
    rawValue = capabilities.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
  }

  /// By number.
  public var capabilities: [Capability] { Capability.allCases.filter { rawValue & (1 << UInt64($0.rawValue)) != 0 } }
}
