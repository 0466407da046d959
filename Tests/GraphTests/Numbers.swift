import Core
import Graph
import Synchronization

/// Vertices whose results are numbers.
struct Chain {
  var vertices: [Vertex] = []
  var noCache = false
  private var current: VertexID?

  init(noCache: Bool = false) { self.noCache = noCache }

  /// The same vertices with another mind about the cache.
  init(noCache: Bool, of other: Chain) {
    self = other
    self.noCache = noCache
    vertices = other.vertices.map {
      var copy = $0
      copy.ignoresCache = noCache
      return copy
    }
  }

  var top: VertexID {
    get { current ?? { preconditionFailure("no vertex was added yet") }() }
    set { current = newValue }
  }

  private func with(_ op: Op, _ inputs: [VertexID], _ title: String) -> Chain {
    var copy = self
    let vertex = Vertex(
      op: op, inputs: inputs, title: title, instructionText: title, ignoresCache: noCache && !inputs.isEmpty)
    if !copy.vertices.contains(where: { $0.id == vertex.id }) { copy.vertices.append(vertex) }
    copy.top = vertex.id
    return copy
  }

  /// A constant.
  func image(_ number: String) -> Chain {
    with(.image(Op.Image(reference: number, imageID: .sha256(number), platform: .current)), [], number)
  }

  /// The number before plus `number`.
  func add(_ number: String) -> Chain {
    with(.exec(Op.Exec(argv: [number], env: [], cwd: "/")), [top], number)
  }

  /// The number before plus that of a context file.
  func copy(_ file: String) -> Chain {
    with(.copy(Op.Copy(sources: [.context(file)], destination: "/")), [top], "copy \(file)")
  }

  /// The number before, plus 1 if `source` is odd.
  func parity(of source: VertexID) -> Chain {
    with(.copy(Op.Copy(sources: [.input(index: 1, path: "")], destination: "/")), [top, source], "parity")
  }

  func sum(_ inputs: [VertexID]) -> Chain {
    with(.exec(Op.Exec(argv: ["sum"], env: [], cwd: "/")), inputs, "sum")
  }
}

/// Executes vertices of `Chain` and remembers what was asked of it.
final class Numbers: OpExecutor {
  private struct State {
    var stored: [Digest: Int] = [:]
    var executed: [String] = []
    var events: [String] = []
    var files: [String: Int] = [:]
    var lookups = 0
    var running = 0
    var mostAtOnce = 0
    var ended = 0
  }
  private let state = Mutex(State())
  private let delay: Duration

  init(delay: Duration = .zero) { self.delay = delay }

  var executed: [String] { state.withLock { $0.executed } }
  var events: [String] { state.withLock { $0.events } }
  var lookups: Int { state.withLock { $0.lookups } }
  var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }
  var ended: Int { state.withLock { $0.ended } }
  var files: [String: Int] {
    get { state.withLock { $0.files } }
    set { state.withLock { $0.files = newValue } }
  }

  /// Forgets what was asked, not what was stored.
  func forget() {
    state.withLock {
      $0.executed = []
      $0.events = []
      $0.lookups = 0
    }
  }

  func solve(_ chain: Chain, parallelism: Int = 1) async throws -> Int {
    try await Solver(self, parallelism: parallelism) { event in
      let text =
        switch event {
        case .started(let vertex): "started \(vertex.title)"
        case .cached(let vertex): "cached \(vertex.title)"
        case .finished(let vertex): "finished \(vertex.title)"
        case .failed(let vertex, _): "failed \(vertex.title)"
        case .cancelled(let vertex): "cancelled \(vertex.title)"
        }
      self.state.withLock { $0.events.append(text) }
    }.solve(chain.vertices, target: chain.top)
  }

  func contextDigest(_ vertex: Vertex) async throws -> ContentDigest? {
    guard let file = contextFile(vertex) else { return nil }
    guard let number = files[file] else { throw Failure("copy \(file)", "not found") }
    return ContentDigest(digest: .sha256(String(number)), preimage: Preimage(.int(Int64(number))))
  }

  private func contextFile(_ vertex: Vertex) -> String? {
    guard case .copy(let copy) = vertex.op, case .context(let file)? = copy.sources.first else { return nil }
    return file
  }

  func lookup(_ key: CacheKey) async throws -> Int? {
    state.withLock {
      $0.lookups += 1
      return $0.stored[key.digest]
    }
  }

  func identity(_ result: Int) -> Digest { .sha256(String(result)) }

  func contentDigest(_ vertex: Vertex, _ inputs: [Int]) async throws -> ContentDigest? {
    guard inputs.count > 1 else { return nil }
    let selected = vertex.title == "parity" ? [inputs[1] % 2] : Array(inputs.dropFirst())
    let text = selected.map(String.init).joined(separator: " ")
    return ContentDigest(digest: .sha256(text), preimage: Preimage(.string(text)))
  }

  func execute(_ vertex: Vertex, _ inputs: [Int], keys: StepKeys) async throws -> Int {
    state.withLock {
      $0.executed.append(vertex.title)
      $0.running += 1
      $0.mostAtOnce = max($0.mostAtOnce, $0.running)
    }
    defer {
      state.withLock {
        $0.running -= 1
        $0.ended += 1
      }
    }
    if delay != .zero { try await Task.sleep(for: delay) }
    let result = try await value(vertex, inputs)
    state.withLock {
      $0.stored[keys.definition.digest] = result
      $0.stored[keys.content.digest] = result
    }
    return result
  }

  private func value(_ vertex: Vertex, _ inputs: [Int]) async throws -> Int {
    if let file = contextFile(vertex) { return inputs[0] + (files[file] ?? 0) }
    switch vertex.title {
    case "sum": return inputs.reduce(0, +)
    case "parity": return inputs[0] + inputs[1] % 2
    case "forever":
      try await Task.sleep(for: .seconds(3600))
      return 0
    default:
      guard let number = Int(vertex.title) else { throw Failure("add \(vertex.title)", "no number") }
      return inputs.reduce(number, +)
    }
  }

  func alias(definition: CacheKey, to content: CacheKey) async throws {
    state.withLock { $0.stored[definition.digest] = $0.stored[content.digest] }
  }
}
