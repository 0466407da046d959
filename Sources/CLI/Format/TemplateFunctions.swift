internal import Core

/// The functions of Go's templates and those that Docker adds.
enum TemplateFunctions {
  /// All that a template may call.
  static let names: Set<String> = [
    "and", "or", "not", "len", "index", "slice", "eq", "ne", "lt", "le", "gt", "ge", "print", "printf", "println",
    "json", "split", "join", "title", "lower", "upper", "pad", "truncate",
  ]

  /// Calls `name`, which is one of `names` but `and` and `or`.
  static func call(_ name: String, _ a: [JSON]) throws -> JSON {
    switch name {
    case "not": return .bool(!truth(try only(name, a)))
    case "len": return .int(Int64(try length(try only(name, a))))
    case "index": return try index(a)
    case "slice": return try slice(a)
    case "eq", "ne", "lt", "le", "gt", "ge": return .bool(try compare(name, a))
    case "print": return .string(printed(a))
    case "println": return .string(a.map(text).joined(separator: " ") + "\n")
    case "printf":
      guard case .string(let format)? = a.first else { throw wrong(name) }
      return .string(TemplatePrintf.format(format, Array(a.dropFirst())))
    case "json": return .string(try only(name, a).text)
    case "join":
      guard a.count == 2, case .string(let separator) = a[1] else { throw wrong(name) }
      return .string((a[0].array ?? []).map(text).joined(separator: separator))
    case "split": return try split(a)
    case "title": return .string(titled(try string(name, try only(name, a))))
    case "lower": return .string(try string(name, try only(name, a)).lowercased())
    case "upper": return .string(try string(name, try only(name, a)).uppercased())
    case "pad":
      guard a.count == 3, let left = a[1].int, let right = a[2].int else { throw wrong(name) }
      let text = try string(name, a[0])
      return .string(text.isEmpty ? "" : blanks(left) + text + blanks(right))
    case "truncate":
      guard a.count == 2, let length = a[1].int, length >= 0 else { throw wrong(name) }
      return .string(String(try string(name, a[0]).prefix(Int(min(length, 1 << 30)))))
    default: throw Template.failure("function \"\(name)\" not defined")
    }
  }

  /// Go's truth: false, 0, empty and nil are not.
  static func truth(_ value: JSON?) -> Bool {
    switch value {
    case nil, .null?: false
    case .bool(let value)?: value
    case .int(let value)?: value != 0
    case .number(let text)?: Double(text) != 0
    case .string(let text)?: !text.isEmpty
    case .array(let values)?: !values.isEmpty
    case .object(let members)?: !members.isEmpty
    }
  }

  /// Go's `%v`.
  static func text(_ value: JSON) -> String {
    switch value {
    case .null: "<nil>"
    case .bool(let value): value ? "true" : "false"
    case .int(let value): String(value)
    case .number(let text): text
    case .string(let text): text
    case .array(let values): "[" + values.map(text).joined(separator: " ") + "]"
    case .object(let members):
      "map["
        + members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        .map { "\($0):\(text(members[$0] ?? .null))" }.joined(separator: " ") + "]"
    }
  }

  /// The label `key` of labels that are an object or `a=b,c=d`; empty if there is none.
  static func label(_ key: String, in labels: JSON) -> String {
    if let value = labels[key] { return text(value) }
    for pair in (labels.string ?? "").split(separator: ",") where pair.hasPrefix(key + "=") {
      return String(pair.dropFirst(key.count + 1))
    }
    return ""
  }

  private static func only(_ name: String, _ a: [JSON]) throws -> JSON {
    guard a.count == 1 else {
      throw Template.failure("wrong number of args for \(name): want 1 got \(a.count)")
    }
    return a[0]
  }

  private static func wrong(_ name: String) -> Failure { Template.failure("wrong arguments for \(name)") }

  private static func string(_ name: String, _ value: JSON) throws -> String {
    guard case .string(let text) = value else {
      throw Template.failure("wrong type for \(name): expected string; got \(text(value))")
    }
    return text
  }

  private static func blanks(_ count: Int64) -> String {
    String(repeating: " ", count: Int(max(0, min(count, 4096))))
  }

  private static func printed(_ a: [JSON]) -> String {
    var out = ""
    for (i, value) in a.enumerated() {
      // As fmt.Print: a blank between operands when neither is a string.
      if i > 0, value.string == nil, a[i - 1].string == nil { out += " " }
      out += text(value)
    }
    return out
  }

  private static func titled(_ text: String) -> String {
    var startsWord = true
    var out = ""
    for character in text {
      out += startsWord ? character.uppercased() : String(character)
      startsWord = character.isWhitespace
    }
    return out
  }

  private static func length(_ value: JSON) throws -> Int {
    switch value {
    case .string(let text): text.utf8.count
    case .array(let values): values.count
    case .object(let members): members.count
    case .null: 0
    default: throw Template.failure("error calling len: len of \(text(value))")
    }
  }

  private static func index(_ a: [JSON]) throws -> JSON {
    guard var value = a.first else { throw wrong("index") }
    for key in a.dropFirst() {
      switch (value, key) {
      case (.object(let members), .string(let name)): value = members[name] ?? .string("")
      case (.array(let values), .int(let at)):
        guard at >= 0, at < values.count else {
          throw Template.failure("error calling index: index out of range: \(at)")
        }
        value = values[Int(at)]
      case (.null, _): return .string("")
      default: throw Template.failure("error calling index: can't index \(text(value)) with \(text(key))")
      }
    }
    return value
  }

  private static func slice(_ a: [JSON]) throws -> JSON {
    guard let value = a.first, a.count <= 3 else { throw wrong("slice") }
    let count = try length(value)
    let low = a.count > 1 ? a[1].int ?? -1 : 0
    let high = a.count > 2 ? a[2].int ?? -1 : Int64(count)
    guard low >= 0, low <= high, high <= count else {
      throw Template.failure("error calling slice: index out of range: \(max(low, high))")
    }
    switch value {
    case .array(let values): return .array(Array(values[Int(low)..<Int(high)]))
    case .string(let text): return .string(String(decoding: Array(text.utf8)[Int(low)..<Int(high)], as: UTF8.self))
    default: throw Template.failure("error calling slice: can't slice \(text(value))")
    }
  }

  private static func split(_ a: [JSON]) throws -> JSON {
    guard a.count == 2, case .string(let text) = a[0], case .string(let separator) = a[1] else { throw wrong("split") }
    if separator.isEmpty { return .strings(text.map(String.init)) }
    let bytes = Array(text.utf8)
    let mark = Array(separator.utf8)
    var parts: [String] = []
    var start = 0
    var at = 0
    while at + mark.count <= bytes.count {
      if bytes[at..<(at + mark.count)].elementsEqual(mark) {
        parts.append(String(decoding: bytes[start..<at], as: UTF8.self))
        at += mark.count
        start = at
      } else {
        at += 1
      }
    }
    return .strings(parts + [String(decoding: bytes[start...], as: UTF8.self)])
  }

  private static func compare(_ name: String, _ a: [JSON]) throws -> Bool {
    guard a.count >= 2, a.count == 2 || name == "eq" else {
      throw Template.failure("wrong number of args for \(name): want 2 got \(a.count)")
    }
    switch name {
    case "eq": return try a.dropFirst().contains { try equal(a[0], $0) }
    case "ne": return try !equal(a[0], a[1])
    case "lt": return try less(a[0], a[1])
    case "le": return try !less(a[1], a[0])
    case "gt": return try less(a[1], a[0])
    default: return try !less(a[0], a[1])
    }
  }

  private static func equal(_ x: JSON, _ y: JSON) throws -> Bool {
    switch (x, y) {
    case (.string, .string), (.int, .int), (.bool, .bool): return x == y
    case (.null, _), (_, .null): return x == y
    default:
      if let p = number(x), let q = number(y) { return p == q }
      throw Template.failure("error calling eq: incompatible types for comparison")
    }
  }

  private static func less(_ x: JSON, _ y: JSON) throws -> Bool {
    switch (x, y) {
    case (.string(let p), .string(let q)): return p.utf8.lexicographicallyPrecedes(q.utf8)
    case (.int(let p), .int(let q)): return p < q
    default:
      if let p = number(x), let q = number(y) { return p < q }
      throw Template.failure("error calling lt: incompatible types for comparison")
    }
  }

  private static func number(_ value: JSON) -> Double? {
    switch value {
    case .int(let value): Double(value)
    case .number(let text): Double(text)
    default: nil
    }
  }
}
