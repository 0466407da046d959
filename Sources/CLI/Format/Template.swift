internal import Core

/// A Go template, as `--format` takes: what people write for Docker, over JSON values.
///
/// Supported: fields, variables, pipelines, `if`/`else if`/`else`, `range` (with `else`, `break`, `continue`), `with`,
/// trim markers, comments, Go's built-in functions and Docker's. Missing members are an error, since they are typing
/// errors; missing keys that begin in lower case (labels) are empty. Depth, steps and output are bounded.
struct Template: Sendable {
  let nodes: [TemplateNode]

  /// Parses `text`; throws a `Failure` of `template parsing error`.
  init(_ text: String) throws {
    var parser = try TemplateParser(text)
    nodes = try parser.parse()
  }

  /// The template's text for `value`, without a newline at its end.
  func render(_ value: JSON) throws -> String {
    var run = TemplateRun(dot: value)
    try run.execute(nodes, dot: value)
    return run.output
  }

  /// The error that every template problem is.
  static func failure(_ reason: String) -> Failure {
    Failure("", "template parsing error: template: :1: \(reason)")
  }
}

/// One piece of a template.
indirect enum TemplateNode: Sendable {
  case text(String)
  case action(TemplatePipeline)
  case branch(TemplatePipeline, then: [TemplateNode], otherwise: [TemplateNode])
  case with(TemplatePipeline, then: [TemplateNode], otherwise: [TemplateNode])
  case range(TemplatePipeline, body: [TemplateNode], otherwise: [TemplateNode])
  case breakLoop
  case continueLoop
}

/// `$x := a | b c`.
struct TemplatePipeline: Sendable {
  /// The variables that take the value: one, or two in `range`.
  var variables: [String] = []
  /// `=` rather than `:=`.
  var isAssignment = false
  /// Each is a function or operand with its arguments; every result is the last argument of the next.
  var commands: [[TemplateOperand]] = []
}

/// One word of a command.
indirect enum TemplateOperand: Sendable {
  case literal(JSON)
  case dot
  case field([String])
  case variable(String)
  case function(String)
  case pipeline(TemplatePipeline)
  /// The members of another operand: `$x.A.B`, `(index .X 0).A`.
  case chain(TemplateOperand, [String])
}
