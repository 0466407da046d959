internal import Core

/// How a list is written: a table with its header, one line of a template for each row, or one JSON object a line.
struct OutputFormat: Sendable {
  /// A column that a `table` may name: the row's member and its heading.
  struct Column: Sendable {
    var name: String
    var heading: String
    init(_ name: String, _ heading: String) {
      self.name = name
      self.heading = heading
    }
  }

  private let template: Template
  private let isTable: Bool

  /// `text` is `table`, `table TEMPLATE`, `json`, a template, or nil for the default, which follows `table `.
  init(_ text: String?, default defaultTable: String) throws {
    switch text {
    case nil, "", "table":
      template = try Template(defaultTable)
      isTable = true
    case "json":
      template = try Template("{{json .}}")
      isTable = false
    case let text?:
      // On a command line a tab is easier to write as two characters.
      let unescaped = OutputFormat.unescaped(text)
      isTable = unescaped.hasPrefix("table ") || unescaped.hasPrefix("table\t")
      template = try Template(isTable ? String(unescaped.dropFirst(6).drop { $0 == " " }) : unescaped)
    }
  }

  /// The text for `rows`, which are objects; a table's header comes from `columns`.
  func render(_ rows: [JSON], columns: [Column]) throws -> String {
    let lines = try rows.map { try template.render($0) }
    guard isTable else { return lines.map { $0 + "\n" }.joined() }
    let names = columns.map { ($0.name, JSON.string($0.heading)) }
    let header = try template.render(.object(Dictionary(names, uniquingKeysWith: { first, _ in first })))
    return TextTable.render(
      ([header] + lines).map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) })
  }

  /// `\t` and `\n` written as two characters become the character.
  static func unescaped(_ text: String) -> String {
    var out = ""
    var rest = text[...]
    var isInAction = false
    while let character = rest.popFirst() {
      if character == "{", rest.first == "{" { isInAction = true }
      if character == "}", rest.first == "}" { isInAction = false }
      if character == "\\", !isInAction, let next = rest.first, next == "t" || next == "n" {
        rest.removeFirst()
        out.append(next == "t" ? "\t" : "\n")
      } else {
        out.append(character)
      }
    }
    return out
  }
}
