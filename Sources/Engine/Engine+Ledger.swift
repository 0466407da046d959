internal import Builder
public import Core
internal import Linux
internal import Sandbox
internal import Store

extension Engine {
  /// What a command pays for each thing that it may open, as an array of `{"phase", "nanoseconds"}`: the start-up
  /// ledger of docs/decisions/0010. The first phases are this very process's; `STAVE_LEDGER_BEGIN` is the time of the
  /// monotonic clock at which its parent began to start it.
  public func ledger() async throws -> JSON {
    let arrived = Machine.monotonicNanoseconds()
    var ledger: [(phase: String, nanoseconds: Int64)] = []
    if let begin = Machine.environment("STAVE_LEDGER_BEGIN").flatMap({ Int64($0) }) {
      ledger.append(("from the parent's fork to main", Machine.startNanoseconds - begin))
    }
    ledger.append(("from main to the command: tables, parser", arrived - Machine.startNanoseconds))
    let root = root
    ledger += try await BlockingPool.shared.run { try Engine.phases(root) }
    return .array(ledger.map { .object(["phase": .string($0.phase), "nanoseconds": .int($0.nanoseconds)]) })
  }

  private static func phases(_ root: String) throws -> [(phase: String, nanoseconds: Int64)] {
    var ledger: [(phase: String, nanoseconds: Int64)] = []
    func time<T>(_ phase: String, _ body: () throws -> T) rethrows -> T {
      let start = Machine.monotonicNanoseconds()
      defer { ledger.append((phase, Machine.monotonicNanoseconds() - start)) }
      return try body()
    }
    time("one more thread") { ParallelLoop.run(2, width: 2) { _ in } }
    let store = try time("store: open") { try Store.open(root: root, create: true) }
    let lease = try time("store: lease") { try store.lease() }
    defer { lease.release() }
    let image = try store.images().first { !$0.repoTags.isEmpty }
    if let name = image?.repoTags.first?.canonical {
      _ = try time("image: by its name") { try store.resolve(name) }
    }
    _ = try time("store: workspace") { try store.temporaryPath() }
    time("sandbox: control groups") { _ = ControlGroups.usable() }
    for (name, package) in [
      ("libarchive.so.13", "libarchive13"), ("libisal.so.2", "libisal2"), ("libseccomp.so.2", "libseccomp2"),
    ] {
      // One that is not installed costs nothing.
      time("library: \(name)") { _ = try? DynamicLibrary(name, package: package) }
    }
    return ledger + (try store.databaseLedger())
  }
}
