internal import Core

/// A line of an ignore file that counts.
public struct IgnoreLine: Sendable, Hashable {
  /// Counted from 1.
  public var number: Int
  /// The pattern: cleaned, without a leading `/`; an exception begins with `!`.
  public var pattern: String
  /// The name of the file, `.dockerignore`; empty for patterns that stand in none.
  public var file: String

  public init(number: Int, pattern: String, file: String = "") {
    self.file = file
    self.number = number
    self.pattern = pattern
  }
}

/// A `.dockerignore`, as text: moby/patternmatcher, ignorefile.ReadAll.
public struct IgnoreFile: Sendable, Equatable {
  /// The patterns in the order of the file.
  public let lines: [IgnoreLine]

  /// Reads `content`: a byte order mark is dropped, lines that begin with `#` are comments, blanks around a pattern
  /// and around its `!` don't count. `name` is for messages. Throws a `Failure` if there are more than 100,000 lines.
  public init(_ content: [UInt8], name: String = ".dockerignore") throws {
    var rest = content[...]
    if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
    var out: [IgnoreLine] = []
    var number = 0
    for raw: ArraySlice<UInt8> in rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      guard number <= 100_000 else { throw Failure("read \(name)", "more than 100000 lines") }
      if raw.first == UInt8(ascii: "#") { continue }
      var text = IgnoreFile.trimmed(String(decoding: raw, as: UTF8.self))
      if text.isEmpty { continue }
      let isException = text.utf8.first == UInt8(ascii: "!")
      if isException { text = IgnoreFile.trimmed(String(text.unicodeScalars.dropFirst())) }
      if !text.isEmpty {
        text = CleanPath.clean(text)
        if text.utf8.count > 1, text.utf8.first == UInt8(ascii: "/") { text = String(text.unicodeScalars.dropFirst()) }
      }
      out.append(IgnoreLine(number: number, pattern: isException ? "!" + text : text, file: name))
    }
    lines = out
  }

  /// As `init(_:)` of the UTF-8 bytes.
  public init(_ content: String, name: String = ".dockerignore") throws {
    try self.init(Array(content.utf8), name: name)
  }

  /// `text` without white space at its ends, as Go's strings.TrimSpace.
  static func trimmed(_ text: String) -> String {
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return "" }
    return String(scalars[first...last])
  }
}

/// Go's path.Clean.
enum CleanPath {
  /// `path` without empty, `.` and inner `..` components; `.` if nothing is left.
  static func clean(_ path: String) -> String {
    let isRooted = path.utf8.first == UInt8(ascii: "/")
    var parts: [Substring.UTF8View] = []
    for part in Substring(path).utf8.split(separator: UInt8(ascii: "/")) {
      if part.elementsEqual(".".utf8) { continue }
      if part.elementsEqual("..".utf8) {
        if let last = parts.last, !last.elementsEqual("..".utf8) {
          parts.removeLast()
          continue
        }
        if isRooted { continue }
      }
      parts.append(part)
    }
    let text = String(decoding: Array(parts.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
    return isRooted ? "/" + text : text.isEmpty ? "." : text
  }
}
