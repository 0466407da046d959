internal import Core

/// Reads a document of TOML 1.0.0 line by line into nodes.
struct TOMLParser {
  let bytes: [UInt8]
  let file: String
  var at = 0

  init(_ bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  func failure(_ reason: String) -> Failure {
    let line = bytes[..<min(at, bytes.count)].count { $0 == 0x0A } + 1
    return Failure("\(file):\(line)", reason)
  }

  /// The byte `ahead` of the position; 0 behind the end, which no text may contain.
  func peek(_ ahead: Int = 0) -> UInt8 { at + ahead < bytes.count ? bytes[at + ahead] : 0 }

  func looking(at text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard at + count <= bytes.count else { return false }
    return (0..<count).allSatisfy { bytes[at + $0] == text.utf8Start[$0] }
  }

  mutating func document() throws -> TOML {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw Failure("read \(file)", "text is not UTF-8") }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    let root = TOMLNode(.named, depth: 0)
    var table = root
    while at < bytes.count {
      skipBlanks()
      switch peek() {
      case UInt8(ascii: "["): table = try header(root)
      case UInt8(ascii: "#"), 0x0A, 0x0D, 0: break
      default: try assignment(in: table)
      }
      try endOfLine()
    }
    return root.result
  }

  /// `[a.b]` or `[[a.b]]`: the table that the lines behind it fill.
  private mutating func header(_ root: TOMLNode) throws -> TOMLNode {
    let isList = looking(at: "[[")
    at += isList ? 2 : 1
    let path = try keyPath()
    guard peek() == UInt8(ascii: "]"), !isList || peek(1) == UInt8(ascii: "]") else {
      throw failure("expected \"\(isList ? "]]" : "]")\" behind the table's name")
    }
    at += isList ? 2 : 1
    var node = root
    for key in path.dropLast() { node = try enter(node, key) }
    guard let name = path.last else { throw failure("expected a key") }
    return isList ? try element(of: node, name) : try table(in: node, name)
  }

  /// The table `key` of `node`, or the last table of that list; made if there is none.
  private mutating func enter(_ node: TOMLNode, _ key: String) throws -> TOMLNode {
    guard let child = node.members[key] else { return try add(.implied, key, to: node) }
    switch child.kind {
    case .implied, .named, .dotted: return child
    case .list: if let last = child.elements.last { return last }
    case .value, .inline: break
    }
    throw failure("\"\(key)\" is no table that can be added to")
  }

  private mutating func table(in node: TOMLNode, _ key: String) throws -> TOMLNode {
    guard let child = node.members[key] else { return try add(.named, key, to: node) }
    guard case .implied = child.kind else { throw failure("\"\(key)\" is defined twice") }
    child.kind = .named
    return child
  }

  private mutating func element(of node: TOMLNode, _ key: String) throws -> TOMLNode {
    let list = try node.members[key] ?? add(.list, key, to: node)
    guard case .list = list.kind else { throw failure("\"\(key)\" is defined twice") }
    guard list.depth < TOML.maximumDepth else { throw tooDeep() }
    let table = TOMLNode(.named, depth: list.depth + 1)
    list.elements.append(table)
    return table
  }

  private func add(_ kind: TOMLNode.Kind, _ key: String, to node: TOMLNode) throws -> TOMLNode {
    guard node.depth < TOML.maximumDepth else { throw tooDeep() }
    let child = TOMLNode(kind, depth: node.depth + 1)
    node.members[key] = child
    return child
  }

  private func tooDeep() -> Failure { failure("nested more than \(TOML.maximumDepth) deep") }

  /// `a.b = value`, into `table`.
  mutating func assignment(in table: TOMLNode) throws {
    let path = try keyPath()
    guard peek() == UInt8(ascii: "=") else { throw failure("expected \"=\" behind the key") }
    at += 1
    skipBlanks()
    var node = table
    for key in path.dropLast() {
      guard let child = node.members[key] else {
        node = try add(.dotted, key, to: node)
        continue
      }
      guard case .dotted = child.kind else { throw failure("\"\(key)\" is no table that can be added to") }
      node = child
    }
    guard let name = path.last else { throw failure("expected a key") }
    guard node.members[name] == nil else { throw failure("\"\(name)\" is defined twice") }
    guard node.depth < TOML.maximumDepth else { throw tooDeep() }
    node.members[name] = try value(depth: node.depth + 1)
  }

  private mutating func value(depth: Int) throws -> TOMLNode {
    guard depth <= TOML.maximumDepth else { throw tooDeep() }
    switch peek() {
    case UInt8(ascii: "["): return TOMLNode(.value(.array(try array(depth: depth))), depth: depth)
    case UInt8(ascii: "{"): return try inlineTable(depth: depth)
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      let isLong = looking(at: "\"\"\"") || looking(at: "'''")
      return TOMLNode(.value(.string(isLong ? try longString() : try shortString())), depth: depth)
    default: return TOMLNode(.value(try scalar()), depth: depth)
    }
  }

  private mutating func array(depth: Int) throws -> [TOML] {
    at += 1
    var values: [TOML] = []
    while true {
      try skipLines()
      if peek() == UInt8(ascii: "]") { break }
      values.append(try value(depth: depth + 1).result)
      try skipLines()
      if peek() == UInt8(ascii: "]") { break }
      guard peek() == UInt8(ascii: ",") else { throw failure("expected \",\" or \"]\" in the array") }
      at += 1
    }
    at += 1
    return values
  }

  private mutating func inlineTable(depth: Int) throws -> TOMLNode {
    at += 1
    let table = TOMLNode(.inline, depth: depth)
    skipBlanks()
    if peek() == UInt8(ascii: "}") {
      at += 1
      return table
    }
    while true {
      skipBlanks()
      try assignment(in: table)
      skipBlanks()
      defer { at += 1 }
      if peek() == UInt8(ascii: "}") { return table }
      guard peek() == UInt8(ascii: ",") else { throw failure("expected \",\" or \"}\" in the inline table") }
    }
  }

  mutating func skipBlanks() { while peek() == 0x20 || peek() == 0x09 { at += 1 } }

  /// Blanks, comments and ends of lines, within an array.
  private mutating func skipLines() throws {
    while true {
      skipBlanks()
      guard peek() == UInt8(ascii: "#") || peek() == 0x0A || peek() == 0x0D else { return }
      try endOfLine()
    }
  }

  /// Blanks, a comment, and the end of the line or of the text.
  private mutating func endOfLine() throws {
    skipBlanks()
    if peek() == UInt8(ascii: "#") {
      while at < bytes.count, bytes[at] == 0x09 || (bytes[at] >= 0x20 && bytes[at] != 0x7F) { at += 1 }
    }
    if at == bytes.count { return }
    if looking(at: "\r\n") { at += 1 }
    guard bytes[at] == 0x0A else { throw failure("unexpected text at the end of the line") }
    at += 1
  }
}
