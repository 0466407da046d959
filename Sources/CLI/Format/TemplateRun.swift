internal import Core

/// One execution of a template.
struct TemplateRun {
  private(set) var output = ""
  private var variables: [(name: String, value: JSON)]
  private var steps = 0

  private static let maximumSteps = 5_000_000
  private static let maximumOutput = 64 << 20

  /// How a list of nodes ended.
  private enum End { case normal, breakLoop, continueLoop }

  init(dot: JSON) { variables = [("$", dot)] }

  mutating func execute(_ nodes: [TemplateNode], dot: JSON) throws { _ = try walk(nodes, dot) }

  private mutating func walk(_ nodes: [TemplateNode], _ dot: JSON) throws -> End {
    for node in nodes {
      try step()
      switch node {
      case .text(let text): try emit(text)
      case .action(let pipeline):
        let value = try evaluate(pipeline, dot)
        if pipeline.variables.isEmpty { try emit(value.map(TemplateFunctions.text) ?? "<no value>") }
      case .branch(let pipeline, let then, let otherwise):
        let mark = variables.count
        let value = try evaluate(pipeline, dot)
        let end = try walk(TemplateFunctions.truth(value) ? then : otherwise, dot)
        variables.removeLast(variables.count - mark)
        if end != .normal { return end }
      case .with(let pipeline, let then, let otherwise):
        let mark = variables.count
        let value = try evaluate(pipeline, dot)
        let isTrue = TemplateFunctions.truth(value)
        let end = try walk(isTrue ? then : otherwise, isTrue ? value ?? .null : dot)
        variables.removeLast(variables.count - mark)
        if end != .normal { return end }
      case .range(let pipeline, let body, let otherwise):
        let end = try range(pipeline, body, otherwise, dot)
        if end != .normal { return end }
      case .breakLoop: return .breakLoop
      case .continueLoop: return .continueLoop
      }
    }
    return .normal
  }

  private mutating func range(
    _ pipeline: TemplatePipeline, _ body: [TemplateNode], _ otherwise: [TemplateNode], _ dot: JSON
  ) throws -> End {
    var bare = pipeline
    bare.variables = []
    let pairs: [(JSON, JSON)]
    switch try evaluate(bare, dot) ?? .null {
    case .array(let values): pairs = values.enumerated().map { (.int(Int64($0.offset)), $0.element) }
    case .object(let members):
      pairs = members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        .map { (.string($0), members[$0] ?? .null) }
    case .null: pairs = []
    case .int(let count): pairs = (0..<max(0, min(count, 1_000_000))).map { (.int($0), .int($0)) }
    case let other: throw Template.failure("range can't iterate over \(TemplateFunctions.text(other))")
    }
    if pairs.isEmpty { return try walk(otherwise, dot) }
    for (key, value) in pairs {
      let mark = variables.count
      if let last = pipeline.variables.last { variables.append((last, value)) }
      if pipeline.variables.count == 2 { variables.append((pipeline.variables[0], key)) }
      let end = try walk(body, value)
      variables.removeLast(variables.count - mark)
      if end == .breakLoop { break }
    }
    return .normal
  }

  /// The pipeline's value; nil is Go's "no value", a key that is not there.
  private mutating func evaluate(_ pipeline: TemplatePipeline, _ dot: JSON) throws -> JSON? {
    var value: JSON?
    for (i, command) in pipeline.commands.enumerated() {
      try step()
      value = try run(command, dot, final: i > 0 ? .some(value ?? .null) : nil)
    }
    if let name = pipeline.variables.last {
      if pipeline.isAssignment {
        guard let at = variables.lastIndex(where: { $0.name == name }) else {
          throw Template.failure("undefined variable \"\(name)\"")
        }
        variables[at].value = value ?? .null
      } else {
        variables.append((name, value ?? .null))
      }
    }
    return value
  }

  private mutating func run(_ command: [TemplateOperand], _ dot: JSON, final: JSON?) throws -> JSON? {
    guard let first = command.first else { return nil }
    if case .function(let name) = first {
      if name == "and" || name == "or" { return try shortCircuit(name, command.dropFirst(), dot, final) }
      var arguments: [JSON] = []
      for operand in command.dropFirst() { arguments.append(try self.operand(operand, dot) ?? .null) }
      if let final { arguments.append(final) }
      return try TemplateFunctions.call(name, arguments)
    }
    // `.Label "x"` is the one method with an argument that people use.
    if case .field(let names) = first, names.last == "Label", command.count == 2,
      case .string(let key)? = try operand(command[1], dot)
    {
      let owner = names.count > 1 ? try member(dot, Array(names.dropLast())) ?? .null : dot
      return .string(TemplateFunctions.label(key, in: owner["Labels"] ?? .null))
    }
    guard command.count == 1, final == nil else { throw Template.failure("can't give argument to non-function") }
    return try operand(first, dot)
  }

  private mutating func shortCircuit(
    _ name: String, _ operands: ArraySlice<TemplateOperand>, _ dot: JSON, _ final: JSON?
  ) throws -> JSON? {
    var value: JSON?
    for operand in operands {
      value = try self.operand(operand, dot)
      if TemplateFunctions.truth(value) == (name == "or") { return value }
    }
    return final ?? value
  }

  private mutating func operand(_ operand: TemplateOperand, _ dot: JSON) throws -> JSON? {
    try step()
    switch operand {
    case .literal(let value): return value
    case .dot: return dot
    case .field(let names): return try member(dot, names)
    case .variable(let name):
      guard let found = variables.last(where: { $0.name == name }) else {
        throw Template.failure("undefined variable \"\(name)\"")
      }
      return found.value
    case .function(let name): return try TemplateFunctions.call(name, [])
    case .pipeline(let pipeline): return try evaluate(pipeline, dot)
    case .chain(let base, let names): return try member(try self.operand(base, dot) ?? .null, names)
    }
  }

  private func member(_ value: JSON, _ names: [String]) throws -> JSON? {
    var value = value
    for name in names {
      switch value {
      case .object(let members):
        if let next = members[name] {
          value = next
        } else if name.first?.isUppercase == true {
          let path = "." + names.joined(separator: ".")
          throw Failure(
            "",
            "template parsing error: template: :1: executing \"\" at <\(path)>: map has no entry for key \"\(name)\""
              + didYouMean(name, in: members.keys.sorted()))
        } else {
          return nil
        }
      case .null: return nil
      default:
        throw Template.failure("can't evaluate field \(name) in \(TemplateFunctions.text(value))")
      }
    }
    return value
  }

  private mutating func emit(_ text: String) throws {
    output += text
    guard output.utf8.count <= TemplateRun.maximumOutput else { throw Template.failure("output is over 64 MiB") }
  }

  private mutating func step() throws {
    steps += 1
    guard steps <= TemplateRun.maximumSteps else { throw Template.failure("template runs for too long") }
  }
}
