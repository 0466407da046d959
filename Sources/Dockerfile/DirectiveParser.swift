/// Reads the parser directives at the top of a Dockerfile, `# escape=x`, line by line until a line is none.
struct DirectiveParser {
  /// The lower-case names that exist.
  static let known = ["check", "escape", "syntax"]

  /// What a directive's line begins with.
  var comment = "#"
  private var seen: Set<String> = []
  private(set) var isDone = false

  init(comment: String = "#") { self.comment = comment }

  struct Directive: Equatable {
    var name: String
    var value: String
  }

  /// The directive on `line` (no newline), or nil: then no later line can hold one. Throws when one is repeated.
  mutating func parse(_ line: Scalars) throws -> Directive? {
    guard !isDone else { return nil }
    guard let found = match(line), DirectiveParser.known.contains(found.name) else {
      isDone = true
      return nil
    }
    guard seen.insert(found.name).inserted else {
      throw ParseError("only one \(found.name) parser directive can be used")
    }
    return found
  }

  /// `# name = value`, whatever the name.
  private func match(_ line: Scalars) -> Directive? {
    guard line.starts(with: comment.unicodeScalars) else { return nil }
    let rest = line.dropFirst(comment.unicodeScalars.count).drop(while: \.isBlank)
    let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isDigit) }
    guard let first = name.first, first.isLetter else { return nil }
    let afterName = rest[name.endIndex...].drop(while: \.isBlank)
    guard afterName.first == "=", afterName.count > 1 else { return nil }
    let value = afterName.dropFirst().trimmed
    return Directive(
      name: String(scalars: name).lowercased(), value: value.isEmpty ? " " : String(scalars: value))
  }
}

extension DockerfileDocument {
  /// The value of the `syntax` directive, or nil.
  ///
  /// It is found where BuildKit finds it: in a `#` directive, also below a `#!` line; in a `// syntax=` line.
  public static func syntax(of bytes: [UInt8]) -> String? { directive("syntax", in: bytes, comments: ["#", "//"]) }

  /// The first value of a directive, tolerant of everything else in the file.
  static func directive(_ name: String, in bytes: [UInt8], comments: [String]) -> String? {
    for comment in comments {
      var lines = PhysicalLines(bytes)
      var parser = DirectiveParser(comment: comment)
      var isFirst = true
      while !parser.isDone, let line = try? lines.next() {
        defer { isFirst = false }
        if isFirst, line.starts(with: "#!".utf8) { continue }
        let text = PhysicalLines.text(PhysicalLines.withoutNewline(line))
        guard let found = try? parser.parse(text) else { break }
        if found.name == name { return found.value }
      }
    }
    return nil
  }
}
