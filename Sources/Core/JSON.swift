/// A JSON value (RFC 8259). Objects keep no order: they are written with sorted keys, so equal values have equal bytes.
public enum JSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case int(Int64)
  /// A number that is no 64-bit integer, as it was written.
  case number(String)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  public var int: Int64? {
    guard case .int(let value) = self else { return nil }
    return value
  }

  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  public var array: [JSON]? {
    guard case .array(let value) = self else { return nil }
    return value
  }

  public var object: [String: JSON]? {
    guard case .object(let value) = self else { return nil }
    return value
  }

  public var isNull: Bool { self == .null }

  /// An object of the members whose value is not nil.
  public static func members(_ members: [String: JSON?]) -> JSON {
    .object(members.compactMapValues { $0 })
  }

  /// An array of strings.
  public static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }

  /// An array of strings.
  public static func strings(_ values: some Sequence<String>) -> JSON { .array(values.map { .string($0) }) }

  /// A string, or nil for an empty one: the `omitempty` of Go.
  public static func nonEmpty(_ text: String) -> JSON? { text.isEmpty ? nil : .string(text) }

  /// A strings array, or nil for none.
  public static func nonEmpty(_ values: [String]) -> JSON? { values.isEmpty ? nil : .strings(values) }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}
