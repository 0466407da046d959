internal import Core

/// A TOML value (TOML 1.0.0) without the dates, which no file that Stave reads has.
public enum TOML: Sendable, Equatable {
  case string(String)
  case int(Int64)
  case float(Double)
  case bool(Bool)
  case array([TOML])
  /// `[table]`, `{ inline = "table" }`, or what dotted keys make.
  case table([String: TOML])

  public subscript(key: String) -> TOML? {
    guard case .table(let members) = self else { return nil }
    return members[key]
  }

  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  public var array: [TOML]? {
    guard case .array(let value) = self else { return nil }
    return value
  }

  public var table: [String: TOML]? {
    guard case .table(let value) = self else { return nil }
    return value
  }

  /// Longest text that is read, in bytes.
  public static let maximumSize = 1 << 20
  /// How deep tables and arrays may be nested.
  public static let maximumDepth = 64

  /// Reads a whole document, whose root is a table. Throws a `Failure` whose action is `file:line` if it is malformed,
  /// defines something twice, holds a date, is longer than `maximumSize` or nested deeper than `maximumDepth`.
  public static func parse(_ bytes: [UInt8], file: String) throws -> TOML {
    guard bytes.count <= maximumSize else {
      throw Failure("read \(file)", "larger than \(maximumSize) bytes")
    }
    var parser = TOMLParser(bytes, file: file)
    return try parser.document()
  }
}
