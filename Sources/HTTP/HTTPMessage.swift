/// The header fields of a message, in order; names are compared without regard to case (RFC 9110, 5.1).
public struct HTTPFields: Sendable, Equatable {
  public private(set) var all: [(name: String, value: String)] = []

  public init(_ fields: [(name: String, value: String)] = []) { all = fields }

  /// The first value of `name`; setting it replaces all of them, nil removes them.
  public subscript(name: String) -> String? {
    get { values(name).first }
    set {
      let key = name.lowercased()
      all.removeAll { $0.name.lowercased() == key }
      if let newValue { all.append((name, newValue)) }
    }
  }

  /// Every value of `name`, in order.
  public func values(_ name: String) -> [String] {
    let key = name.lowercased()
    return all.filter { $0.name.lowercased() == key }.map(\.value)
  }

  /// Adds a further field.
  public mutating func add(_ name: String, _ value: String) { all.append((name, value)) }

  public static func == (a: HTTPFields, b: HTTPFields) -> Bool {
    a.all.elementsEqual(b.all) { $0.name == $1.name && $0.value == $1.value }
  }
}

/// The bytes that a request sends.
public enum HTTPBody: Sendable {
  case none
  case bytes([UInt8])
  /// A stream, `length` bytes long (nil: unknown, sent in chunks). `open` begins it anew for every attempt; what it
  /// returns fills a buffer and says how many bytes it has put there, 0 at the end.
  case stream(length: Int64?, open: @Sendable () throws -> (UnsafeMutableRawBufferPointer) throws -> Int)
}

/// One request.
public struct HTTPRequest: Sendable {
  /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`.
  public var method: String
  /// An absolute URL of scheme http or https.
  public var url: String
  public var fields: HTTPFields
  public var body: HTTPBody
  public var tls: TLSSettings
  /// Seconds until a connection stands, its TLS included; nil: the transport's own.
  public var connectSeconds: Int?

  public init(
    _ method: String, _ url: String, fields: HTTPFields = HTTPFields(), body: HTTPBody = .none,
    tls: TLSSettings = .system
  ) {
    self.method = method
    self.url = url
    self.fields = fields
    self.body = body
    self.tls = tls
  }
}

/// The status and the header fields of an answer.
public struct HTTPHead: Sendable {
  public var status: Int
  public var fields: HTTPFields

  public init(status: Int, fields: HTTPFields = HTTPFields()) {
    self.status = status
    self.fields = fields
  }
}
