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

/// A number, and whether it may be named yet.
final class Sum: Sendable {
  let value: Int
  private let state: Mutex<Swift.Result<Void, any Error>?>

  init(_ value: Int, isKnown: Bool = true) {
    self.value = value
    state = Mutex(isKnown ? .success(()) : nil)
  }

  var isKnown: Bool { state.withLock { if case .success? = $0 { true } else { false } } }

  func settle(_ result: Swift.Result<Void, any Error>) { state.withLock { $0 = result } }

  /// Returns when the number may be named.
  func known() async throws {
    while true {
      if let result = state.withLock({ $0 }) { return try result.get() }
      try await Task.sleep(for: .milliseconds(1))
    }
  }
}

/// What several builds share: stored numbers, and who executes what.
final class Shelf: Sendable {
  fileprivate struct State {
    var stored: [Digest: Int] = [:]
    var claimed: Set<Digest> = []
  }
  fileprivate let state = Mutex(State())

  /// Given back when nobody refers to it.
  final class Claim: Sendable {
    private let shelf: Shelf
    private let key: Digest

    fileprivate init(_ shelf: Shelf, _ key: Digest) {
      self.shelf = shelf
      self.key = key
    }

    deinit { shelf.state.withLock { _ = $0.claimed.remove(key) } }
  }

  func claim(_ key: Digest) -> Claim? {
    state.withLock { $0.claimed.insert(key).inserted } ? Claim(self, key) : nil
  }

  var claims: Int { state.withLock { $0.claimed.count } }
}

/// Executes vertices of `Chain` and remembers what was asked of it.
final class Numbers: OpExecutor {
  private struct State {
    var executed: [String] = []
    var settled: [String] = []
    var events: [String] = []
    var files: [String: Int] = [:]
    var lookups = 0
    var running = 0
    var mostAtOnce = 0
    var ended = 0
    var open: Set<String> = []
  }
  private let state = Mutex(State())
  private let delay: Duration
  /// The vertices whose rest lasts until `open` is called.
  private let slow: Set<String>
  /// The vertices whose rest fails, when it is let.
  private let broken: Set<String>
  let shelf: Shelf

  init(delay: Duration = .zero, slow: Set<String> = [], broken: Set<String> = [], shelf: Shelf = Shelf()) {
    self.delay = delay
    self.slow = slow
    self.broken = broken
    self.shelf = shelf
  }

  var executed: [String] { state.withLock { $0.executed } }
  /// The titles of vertices whose results were stored, in order.
  var settled: [String] { state.withLock { $0.settled } }
  var events: [String] { state.withLock { $0.events } }
  var lookups: Int { state.withLock { $0.lookups } }
  var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }
  var ended: Int { state.withLock { $0.ended } }
  var files: [String: Int] {
    get { state.withLock { $0.files } }
    set { state.withLock { $0.files = newValue } }
  }

  /// Lets the rest of the vertex `title` end.
  func open(_ title: String) { state.withLock { _ = $0.open.insert(title) } }

  /// Returns when `condition` holds.
  func wait(_ condition: @Sendable (Numbers) -> Bool) async throws {
    while !condition(self) { try await Task.sleep(for: .milliseconds(1)) }
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
        case .waiting(let vertex): "waiting \(vertex.title)"
        case .started(let vertex): "started \(vertex.title)"
        case .cached(let vertex): "cached \(vertex.title)"
        case .finished(let vertex): "finished \(vertex.title)"
        case .failed(let vertex, _): "failed \(vertex.title)"
        case .cancelled(let vertex): "cancelled \(vertex.title)"
        case .settling: "settling"
        }
      self.state.withLock { $0.events.append(text) }
    }.solve(chain.vertices, target: chain.top).value
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

  func lookup(_ key: CacheKey) async throws -> Sum? {
    state.withLock { $0.lookups += 1 }
    return shelf.state.withLock { $0.stored[key.digest].map { Sum($0) } }
  }

  func identity(_ result: Sum) -> Digest? { result.isKnown ? .sha256(String(result.value)) : nil }

  func contentDigest(_ vertex: Vertex, _ inputs: [Sum]) async throws -> ContentDigest? {
    guard inputs.count > 1 else { return nil }
    let selected = vertex.title == "parity" ? [inputs[1].value % 2] : inputs.dropFirst().map(\.value)
    let text = selected.map(String.init).joined(separator: " ")
    return ContentDigest(digest: .sha256(text), preimage: Preimage(.string(text)))
  }

  func claim(_ key: CacheKey, waits: Bool) async throws -> Claiming<Sum, Shelf.Claim> {
    while true {
      if let claim = shelf.claim(key.digest) {
        let found = shelf.state.withLock { $0.stored[key.digest] }
        return found.map { .found(Sum($0)) } ?? .granted(claim)
      }
      if !waits { return .held }
      try await Task.sleep(for: .milliseconds(1))
    }
  }

  func execute(_ vertex: Vertex, _ inputs: [Sum], keys: StepKeys) async throws -> Executed<Sum> {
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
    let value = try await value(vertex, inputs.map(\.value))
    let isReady = !slow.contains(vertex.title) && !broken.contains(vertex.title) && inputs.allSatisfy(\.isKnown)
    let result = Sum(value, isKnown: isReady)
    if isReady {
      store(vertex, value, keys, base: inputs.first)
      return Executed(result)
    }
    return Executed(result) { [self] in
      do {
        while slow.contains(vertex.title), !state.withLock({ $0.open.contains(vertex.title) }) {
          try await Task.sleep(for: .milliseconds(1))
        }
        if broken.contains(vertex.title) { throw Failure("pack \(vertex.title)", "broken") }
        for input in inputs { try await input.known() }
        store(vertex, value, keys, base: inputs.first)
        result.settle(.success(()))
      } catch {
        result.settle(.failure(error))
        throw error
      }
    }
  }

  private func store(_ vertex: Vertex, _ value: Int, _ keys: StepKeys, base: Sum?) {
    let content = base.map { keys.content(base: .sha256(String($0.value))) } ?? keys.content
    shelf.state.withLock {
      $0.stored[keys.definition.digest] = value
      if let content { $0.stored[content.digest] = value }
    }
    state.withLock { $0.settled.append(vertex.title) }
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
    shelf.state.withLock { $0.stored[definition.digest] = $0.stored[content.digest] }
  }
}
