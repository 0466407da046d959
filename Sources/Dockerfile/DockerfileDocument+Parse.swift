internal import Core

extension DockerfileDocument {
  /// Reads a whole Dockerfile: its directives, the ARGs before the first FROM and the stages.
  ///
  /// `file` is the name that diagnostics show. Throws a `Failure` "dockerfile parse error on line N: reason" with
  /// a diagnostic for the excerpt. Every instruction is checked, those of stages that nobody needs too.
  public static func parse(_ bytes: [UInt8], file: String) throws -> DockerfileDocument {
    let source = DockerfileSyntax.sourceText(bytes)
    do {
      guard !bytes.isEmpty else { throw ParseError("the Dockerfile cannot be empty") }
      let syntax = try DockerfileSyntax.read(bytes)
      var document = DockerfileDocument(
        file: file, source: source, directives: syntax.directives, globalArguments: [], stages: [], diagnostics: [])
      // A `#!` line ends the directives of the parser, not of those who look for the frontend and the checks.
      document.directives.syntax = syntax.directives.syntax ?? Self.syntax(of: bytes)
      document.directives.check = syntax.directives.check ?? directive("check", in: bytes, comments: ["#"])
      for node in syntax.nodes { try document.append(Instruction(node)) }
      guard !document.stages.isEmpty else { throw ParseError("dockerfile contains no stages to build") }
      document.diagnostics = syntax.emptyContinuations.map { place in
        Diagnostic(
          .warning, "empty continuation line found in: \(place.text)", file: file,
          range: SourceRange(place.line, place.line), source: source,
          hint: "empty continuation lines will become errors in a future release")
      }
      return document
    } catch let error as ParseError {
      throw error.failure(file: file, source: source)
    }
  }

  private mutating func append(_ instruction: Instruction) throws {
    switch instruction.kind {
    case .from(let from):
      stages.append(Stage(index: stages.count, from: from, instruction: instruction, instructions: []))
    case .arg where stages.isEmpty: globalArguments.append(instruction)
    default:
      guard !stages.isEmpty else {
        throw ParseError(
          "no build stage in current context", at: instruction.range,
          hint: "only ARG may stand before the first FROM")
      }
      stages[stages.count - 1].instructions.append(instruction)
    }
  }

  /// All instructions in the order of the file.
  public var instructions: [Instruction] {
    globalArguments + stages.flatMap { [$0.instruction] + $0.instructions }
  }
}
