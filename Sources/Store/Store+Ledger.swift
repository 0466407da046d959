internal import Core
internal import Linux

extension Store {
  /// What the database costs in nanoseconds, in order: opening it, reading all images, and a change with its
  /// `index.json`, which is synced. The change gives an image the name that it has; without one there is no change.
  public func databaseLedger() throws -> [(phase: String, nanoseconds: Int64)] {
    var ledger: [(phase: String, nanoseconds: Int64)] = []
    func time<T>(_ phase: String, _ body: () throws -> T) rethrows -> T {
      let start = Machine.monotonicNanoseconds()
      defer { ledger.append((phase, Machine.monotonicNanoseconds() - start)) }
      return try body()
    }
    let database = try time("database: open") { try self.database() }
    let rows = try time("database: read") { try database.rows() }
    if let row = rows.first(where: { !$0.tags.isEmpty }), let name = row.tags.first {
      try time("database: write, with index.json synced") {
        try database.change(self) { try $0.tag(name, row.id) }
      }
    }
    return ledger
  }
}
