public import Core
internal import Graph
internal import Linux
public import Store
internal import Synchronization

/// Lets a build use the steps of other machines' caches: asks them what the store does not know.
///
/// The indexes of the caches are fetched from the beginning, beside other work, and waited for by the first look-up
/// that needs them. A step that one of them knows brings in the layers that the store lacks, and becomes one of the
/// store's. A cache that can't be used is a warning, and counts as empty.
public final class CacheImport: Sendable {
  private let store: Store
  private let reporter: ProgressReporter
  private let sources: [Source]
  private let fetches = TaskLimit(4)

  /// One cache and what became of it.
  private struct Source: Sendable {
    var source: any CacheSource
    var indexes: Task<[CacheIndex], any Error>
    var state: SourceState
  }

  private final class SourceState: Sendable {
    struct State {
      var isAnnounced = false
      var isBroken = false
    }
    private let state = Mutex(State())

    var isBroken: Bool { state.withLock { $0.isBroken } }

    /// Whether this is the first call.
    func announce() -> Bool {
      state.withLock { state in
        defer { state.isAnnounced = true }
        return !state.isAnnounced
      }
    }

    /// Gives the source up; whether it was not before.
    func giveUp() -> Bool {
      state.withLock { state in
        defer { state.isBroken = true }
        return !state.isBroken
      }
    }
  }

  /// Begins to fetch the indexes of `sources`, which are asked in their order. The caller holds a lease of the store
  /// until the build is over, and calls `cancel` then.
  public init(_ sources: [any CacheSource], platforms: [Platform], store: Store, reporter: ProgressReporter) {
    self.store = store
    self.reporter = reporter
    self.sources = sources.map { source in
      Source(
        source: source, indexes: Task { try await BlockingPool.shared.run { try source.indexes(platforms) } },
        state: SourceState())
    }
  }

  /// Stops fetching what nobody asked for.
  public func cancel() {
    for source in sources { source.indexes.cancel() }
  }

  /// The record of the step `key`, now one of the store's with all its layers; nil if no cache has it whole.
  func find(_ key: CacheKey) async throws -> StepRecord? {
    for source in sources where !source.state.isBroken {
      guard let (index, step) = try await step(key.digest, in: source),
        let record = index.record(step, definition: key.kind == .definition ? key.digest : nil)
      else { continue }
      do {
        guard try await fetch(index.layers(of: step), of: step, from: source) else { continue }
        if let found = try await keep(record, key) { return found }
      } catch is CancellationError {
        throw CancellationError()
      } catch {
        giveUp(source, error)
      }
    }
    return nil
  }

  /// The record of the step with that definition key, though the store may lack its layers: for another export.
  func known(_ definition: Digest) async throws -> StepRecord? {
    for source in sources where !source.state.isBroken {
      if let (index, step) = try await step(definition, in: source) {
        return index.record(step, definition: definition)
      }
    }
    return nil
  }

  /// A layer that one of the caches has: its blob there, and how to bring it into the store, which blocks.
  struct Origin: Sendable {
    var blob: Descriptor
    var fetch: @Sendable () throws -> Void
  }

  /// Where the layer can be had, nil if no cache has it.
  func origin(of diffID: Digest) async throws -> Origin? {
    for source in sources where !source.state.isBroken {
      let blobs = try await indexes(of: source).lazy.compactMap { $0.blob(of: diffID) }
      guard let blob = blobs.first else { continue }
      return Origin(blob: blob) { [store] in try CacheImport.bring(blob, diffID, from: source.source, store) }
    }
    return nil
  }

  /// Which repositories have which blobs, of the caches that are in registries.
  func repositories() async throws -> [(repository: ImageReference, blobs: [Descriptor])] {
    var out: [(repository: ImageReference, blobs: [Descriptor])] = []
    for source in sources where !source.state.isBroken {
      guard let repository = source.source.repository else { continue }
      out.append((repository, try await indexes(of: source).flatMap(\.blobs)))
    }
    return out
  }

  /// The step with that key, and the index that has it.
  private func step(_ key: Digest, in source: Source) async throws -> (CacheIndex, CacheIndex.Step)? {
    for index in try await indexes(of: source) {
      if let step = index.step(key) { return (index, step) }
    }
    return nil
  }

  /// The source's indexes, none if it can't be used; the first call that gets here tells so.
  private func indexes(of source: Source) async throws -> [CacheIndex] {
    let name = source.source.name
    let load: @Sendable () async throws -> [CacheIndex] = {
      try await withTaskCancellationHandler {
        try await source.indexes.value
      } onCancel: {
        source.indexes.cancel()
      }
    }
    do {
      guard source.state.announce() else { return try await load() }
      return try await reporter.internalStep("importing cache manifest from \(name)") { () -> [CacheIndex] in
        do {
          return try await load()
        } catch let error where !(error is CancellationError) {
          giveUp(source, error)
          return []
        }
      }
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      giveUp(source, error)
      return []
    }
  }

  private func giveUp(_ source: Source, _ error: any Error) {
    guard source.state.giveUp() else { return }
    let hint = (error as? Failure)?.hint.map { "; \($0)" } ?? ""
    reporter.warning(Diagnostic(.warning, "build without the cache \(source.source.name): \(error)\(hint)"))
  }

  /// Brings in what the store lacks of `layers`; false if there is one that the cache has not got either.
  private func fetch(_ layers: [CacheIndex.CachedLayer], of step: CacheIndex.Step, from source: Source) async throws
    -> Bool
  {
    let missing = try await BlockingPool.shared.run { [store] in
      try layers.filter { layer in
        // What every machine can make needs no request.
        if layer.diffID == Store.emptyDiffID { return try store.emptyLayer() != layer.diffID }
        return try store.layer(layer.diffID) == nil
      }
    }
    if missing.isEmpty { return true }
    guard missing.allSatisfy({ $0.blob != nil }) else { return false }
    let bytes = missing.compactMap(\.blob?.size).reduce(0, +)
    let title = step.title.prefix { $0 != "\n" }.prefix(60)
    try await reporter.internalStep("import \(missing.count) layers, \(bytes) bytes, of \(title)") {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for layer in missing.sorted(by: { ($0.blob?.size ?? 0) > ($1.blob?.size ?? 0) }) {
          guard let blob = layer.blob else { continue }
          group.addTask { [self] in try await fetch(blob, layer.diffID, from: source.source) }
        }
        try await group.waitForAll()
      }
    }
    return true
  }

  private func fetch(_ blob: Descriptor, _ diffID: Digest, from source: any CacheSource) async throws {
    try await fetches.run {
      try Task.checkCancellation()
      try await BlockingPool.shared.run { [store] in try CacheImport.bring(blob, diffID, from: source, store) }
    }
  }

  private static func bring(_ blob: Descriptor, _ diffID: Digest, from source: any CacheSource, _ store: Store) throws {
    try store.fetchLayer(blob, diffID: diffID) { offset, push in try source.read(blob, from: offset, into: push) }
  }

  /// Makes the record one of the store's; nil if a layer of its result went meanwhile.
  private func keep(_ record: StepRecord, _ key: CacheKey) async throws -> StepRecord? {
    var record = record
    // What the content key was made from is known here as well.
    if key.kind == .content { record.preimage = key.preimage }
    return try await BlockingPool.shared.run { [store, record] in
      try store.putStep(record)
      return try store.step(forKey: record.key)
    }
  }
}
