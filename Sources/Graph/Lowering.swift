internal import Core
public import Dockerfile

/// Lowers a Dockerfile to a build graph. Pure: the same document and options give the same outcome.
///
/// Throws a `Failure` with a diagnostic for a file that can't be built. Names of images that are not in
/// `options.images` come back as `.needsImages`; ONBUILD triggers of images may ask for more in the next call.
public func lower(_ document: DockerfileDocument, _ options: LoweringOptions) throws -> LoweringOutcome {
  var lowering = try Lowering(document, options)
  try lowering.prepareStages()
  let target = try lowering.findTarget()
  let (reachable, missing) = try lowering.resolveReachable(from: target)
  if !missing.isEmpty { return .needsImages(missing) }
  for index in reachable.sorted() { try lowering.lowerStage(index) }
  return .plan(try lowering.plan(target: target))
}

/// A lowering in progress.
struct Lowering {
  let document: DockerfileDocument
  let options: LoweringOptions
  let expander: WordExpander
  /// Values of `--build-arg`, the last one of each name.
  let buildArgs: [String: String]
  /// Global ARGs and platform arguments that have a value.
  var globals: Environment
  var stages: [StageNode] = []
  /// The stages lowered so far.
  var states: [Int: StageState] = [:]
  var vertices: [Vertex] = []
  var positions: [VertexID: Int] = [:]
  var warnings: [Diagnostic]
  let sourceDateEpoch: Timestamp?
  /// The latest time of files in new layers, nil for any.
  var latest: Timestamp? { options.rewritesTimestamps ? sourceDateEpoch : nil }

  init(_ document: DockerfileDocument, _ options: LoweringOptions) throws {
    self.document = document
    self.options = options
    expander = WordExpander(escape: document.directives.escape)
    var given: [String: String] = [:]
    for arg in options.buildArgs { given[arg.name] = arg.value }
    buildArgs = given
    warnings = document.diagnostics
    let target = options.target ?? document.stages.last?.from.stageName
    globals = Lowering.platformArguments(options, target: target, given: given)
    let epoch = given["SOURCE_DATE_EPOCH"] ?? Lowering.globalDefault("SOURCE_DATE_EPOCH", document)
    sourceDateEpoch = try epoch.flatMap { text in
      if text.isEmpty { return nil }
      guard let seconds = Int64(text), seconds >= 0 else {
        throw Failure("", "invalid SOURCE_DATE_EPOCH: \(text)", hint: "expected seconds since 1970")
      }
      return Timestamp(seconds: seconds)
    }
    let lines = document.source.utf8.split(separator: 10, omittingEmptySubsequences: false)
    if let line = lines.firstIndex(where: { $0.contains(0) }) {
      throw failure(
        "the Dockerfile has a NUL byte", at: SourceRange(line + 1, line + 1), hint: "save it as UTF-8 text")
    }
    guard !document.stages.isEmpty else { throw failure("dockerfile contains no stages to build", at: nil) }
    try expandGlobals()
  }

  private static func platformArguments(
    _ options: LoweringOptions, target: String?, given: [String: String]
  ) -> Environment {
    var environment = Environment()
    for (prefix, platform) in [("BUILD", options.buildPlatform), ("TARGET", options.platform)] {
      let values = [
        ("PLATFORM", platform.description), ("OS", platform.os), ("OSVERSION", ""),
        ("ARCH", platform.architecture), ("VARIANT", platform.variant),
      ]
      for (suffix, value) in values { environment.set(prefix + suffix, given[prefix + suffix] ?? value) }
    }
    let stage = target.flatMap { $0.isEmpty ? nil : $0 } ?? "default"
    environment.set("TARGETSTAGE", given["TARGETSTAGE"] ?? stage)
    return environment
  }

  /// The default that a global ARG gives `name`, as written; nil without one.
  private static func globalDefault(_ name: String, _ document: DockerfileDocument) -> String? {
    for instruction in document.globalArguments {
      guard case .arg(let arguments) = instruction.kind else { continue }
      if let value = arguments.last(where: { $0.name == name })?.value { return value }
    }
    return nil
  }

  private mutating func expandGlobals() throws {
    for instruction in document.globalArguments {
      guard case .arg(let arguments) = instruction.kind else { continue }
      for argument in arguments {
        let own = try argument.value.map { try expand($0, globals, at: instruction.range) }
        if let value = buildArgs[argument.name] ?? own { globals.set(argument.name, value) }
      }
    }
  }

  // MARK: Errors and expansion

  /// The failure `reason` with the lines at `range`.
  func failure(_ reason: String, at range: SourceRange?, hint: String? = nil) -> Failure {
    Failure("", reason, hint: hint, diagnostics: [diagnostic(.error, reason, at: range, hint: hint)])
  }

  func diagnostic(
    _ severity: Diagnostic.Severity, _ message: String, at range: SourceRange?, hint: String? = nil
  ) -> Diagnostic {
    Diagnostic(severity, message, file: document.file, range: range, source: document.source, hint: hint)
  }

  /// Runs `body`; a `Failure` without a place gets `range`.
  func located<T>(_ range: SourceRange, _ body: () throws -> T) throws -> T {
    do { return try body() } catch var error as Failure {
      if error.diagnostics.isEmpty {
        error.diagnostics = [diagnostic(.error, error.description, at: range, hint: error.hint)]
      }
      throw error
    }
  }

  /// `word` with its variables replaced. In a plan to be looked at, a word that can't be expanded stays as written.
  func expand(_ word: String, _ environment: Environment, at range: SourceRange) throws -> String {
    do {
      return try located(range) { try expander.expand(word) { environment[$0] } }
    } catch {
      if options.mode == .planOnly { return word }
      throw error
    }
  }

  /// Throws unless `name` can be a file's name: a here-document's word may be anything.
  func checkFileName(_ name: String, at range: SourceRange) throws {
    guard name.isEmpty || name == "." || name == ".." || name.contains("/") else { return }
    throw failure("here-document name \(name.goQuoted) can't be a file name", at: range)
  }

  /// Throws "not supported yet" for `feature`, unless the plan is only to be looked at.
  func refuse(_ feature: String, at range: SourceRange) throws {
    if options.mode == .planOnly { return }
    throw Failure.notSupportedYet(feature, at: diagnostic(.error, "\(feature): not supported yet", at: range))
  }

  // MARK: Vertices

  /// Adds a vertex unless an equal one is there, and gives its id.
  mutating func add(_ vertex: Vertex) -> VertexID {
    if positions[vertex.id] == nil {
      positions[vertex.id] = vertices.count
      vertices.append(vertex)
    }
    return vertex.id
  }
}
