public import Graph
public import Store

/// The records of an image's own steps, which its config takes along.
public struct InlineCache: Sendable {
  let index: CacheIndex

  /// Those of the image of `plan`, which was solved; nil if it has none. `imports` are the caches that the build used.
  public init?(
    _ plan: BuildPlan, _ definitions: StepDefinitions, _ store: Store, _ imports: CacheImport?
  ) async throws {
    let records = try await CacheExport.records([plan], definitions, .min, store, imports).map { record in
      var record = record
      // Equal steps make equal images, however long they took.
      record.durations = [:]
      return record
    }
    if records.isEmpty { return nil }
    index = CacheIndex(records, blobs: [:])
  }
}
