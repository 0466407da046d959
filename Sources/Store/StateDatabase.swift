internal import Core
internal import GRDB
internal import Linux

/// Which images and names there are: the truth behind `index.json`.
///
/// Every change is one immediate transaction that writes `index.json` as its last act before it commits. The file
/// `index.pending` stands while the two may differ; whoever finds it after a kill writes `index.json` anew. Who writes
/// holds a flock on the store's directory until the file is gone, since that is after the transaction.
final class StateDatabase: Sendable {
  private let queue: DatabaseQueue
  private let paths: StorePaths

  /// Opens or makes the database of the store; a new one takes over what `index.json` lists.
  init(paths: StorePaths) throws {
    self.paths = paths
    var configuration = Configuration()
    configuration.busyMode = .timeout(30)
    configuration.prepareDatabase { db in
      // No write-ahead log: its index is mapped memory, and where the disk is full a write there kills the process
      // (SIGBUS). Every command opens and closes the database, which costs a log as many flushes as a journal.
      // Others that have it open keep a store of an older release in its mode a while longer.
      _ = try? String.fetchOne(db, sql: "PRAGMA journal_mode = TRUNCATE")
      try db.execute(sql: "PRAGMA synchronous = NORMAL")
    }
    do {
      queue = try DatabaseQueue(path: paths.database, configuration: configuration)
      try StateDatabase.migrate(queue, paths)
    } catch let error as DatabaseError {
      throw StateDatabase.failure(error, paths)
    }
  }

  /// A row of `image` with its names.
  struct Row: Sendable, Hashable {
    var id: Digest
    var manifest: Descriptor
    var size: Int64
    /// Canonical names, sorted.
    var tags: [String]
    /// Canonical `name@sha256:...`, sorted.
    var repoDigests: [String]
  }

  /// Runs `body` in an immediate transaction, then writes the index of what it left, if it changed that or a killed
  /// command left it unsettled, then commits.
  func change<T>(_ store: Store, _ body: (inout Transaction) throws -> T) throws -> T {
    do {
      return try queue.writeWithoutTransaction { db in
        var result: T?
        var writing: FileLock?
        defer { writing?.release() }
        try db.inTransaction(.immediate) {
          var transaction = Transaction(db: db)
          result = try body(&transaction)
          writing = try beginWriting(transaction)
          if writing != nil { try store.writeIndex(try transaction.rows()) }
          return .commit
        }
        if writing != nil { try HostPath.removeFile(paths.indexPending) }
        // The transaction ran, or it has thrown.
        // swift-format-ignore: NeverForceUnwrap
        return result!
      }
    } catch let error as DatabaseError {
      throw StateDatabase.failure(error, store.paths)
    }
  }

  /// Lets `index.pending` stand, and returns what is to be held until it is removed; nil where the index can stay as it
  /// is. Within the transaction.
  private func beginWriting(_ transaction: Transaction) throws -> FileLock? {
    guard try transaction.hasChanges || HostPath.status(paths.indexPending) != nil else { return nil }
    // One who has committed and not yet removed the file has it.
    let lock = try FileLock.acquire(paths.root, .exclusive)
    guard try transaction.hasChanges || HostPath.status(paths.indexPending) != nil else {
      lock.release()
      return nil
    }
    _ = try OpenFile(paths.indexPending, .create, permissions: 0o600)
    return lock
  }

  private func read<T>(_ body: (Database) throws -> T) throws -> T {
    do {
      return try queue.read(body)
    } catch let error as DatabaseError {
      throw StateDatabase.failure(error, paths)
    }
  }

  /// Everything in the database, images sorted by ID.
  func rows() throws -> [Row] {
    try read { db in try Transaction(db: db).rows() }
  }

  /// The layer whose compressed form `blob` is, or nil.
  func diffID(ofBlob blob: Digest) throws -> Digest? {
    try read { db in
      try String.fetchOne(db, sql: "SELECT diffID FROM compressed WHERE blob = ?", arguments: [blob.text])
    }.map { try Digest($0) }
  }

  /// Every blob that is known as the compressed form of a layer.
  func compressedBlobs() throws -> Set<Digest> {
    Set(try read { db in try String.fetchAll(db, sql: "SELECT blob FROM compressed") }.map { try Digest($0) })
  }

  /// The compressed forms of the layer, sorted.
  func blobs(ofLayer diffID: Digest) throws -> [(blob: Digest, mediaType: String)] {
    try read { db in
      try GRDB.Row.fetchAll(
        db, sql: "SELECT blob, mediaType FROM compressed WHERE diffID = ? ORDER BY blob", arguments: [diffID.text])
    }.map { row in (try Digest(row["blob"]), row["mediaType"]) }
  }

  /// What is wrong, in the system's words where it is not the database's own fault.
  private static func failure(_ error: DatabaseError, _ paths: StorePaths) -> any Error {
    let action = "use \(paths.database)"
    switch error.resultCode {
    case .SQLITE_FULL: return SystemError(.noSpace, action)
    case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_IOERR, .SQLITE_PERM:
      do {
        // Beside the database SQLite makes files of its own.
        let probe = "\(paths.root)/\(Machine.processID).probe.tmp"
        defer { try? HostPath.removeFile(probe) }
        _ = try OpenFile(paths.database, .readWrite, permissions: 0o600)
        try OpenFile(probe, .create, permissions: 0o600).write([UInt8](repeating: 0, count: 65536))
      } catch {
        return (error as? SystemError).map { SystemError($0.code, action) } ?? error
      }
    default: break
    }
    return Failure(
      "use \(paths.database)", error.message ?? "SQLite error \(error.resultCode.rawValue)",
      hint: error.resultCode == .SQLITE_BUSY ? "another stave command is busy with it" : nil)
  }

  private static func migrate(_ queue: DatabaseQueue, _ paths: StorePaths) throws {
    let version = try queue.read { db in try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 }
    if version == 1 { return }
    guard version == 0 else {
      throw Failure("use \(paths.database)", "it was made by a newer stave", hint: "use that one")
    }
    try queue.writeWithoutTransaction { db in
      try db.inTransaction(.immediate) {
        if try Int.fetchOne(db, sql: "PRAGMA user_version") != 0 { return .commit }
        try db.execute(
          sql: """
            CREATE TABLE image (id TEXT PRIMARY KEY, manifest TEXT NOT NULL, mediaType TEXT NOT NULL,
              manifestSize INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TABLE tag (name TEXT PRIMARY KEY, id TEXT NOT NULL REFERENCES image(id)) WITHOUT ROWID;
            CREATE INDEX tagImage ON tag(id);
            CREATE TABLE repoDigest (name TEXT PRIMARY KEY, id TEXT NOT NULL REFERENCES image(id)) WITHOUT ROWID;
            CREATE INDEX repoDigestImage ON repoDigest(id);
            CREATE TABLE compressed (blob TEXT PRIMARY KEY, diffID TEXT NOT NULL, mediaType TEXT NOT NULL)
              WITHOUT ROWID;
            CREATE INDEX compressedLayer ON compressed(diffID);
            PRAGMA user_version = 1;
            """)
        var transaction = Transaction(db: db)
        for row in (try? Store.readIndex(paths)) ?? [] { try transaction.put(row) }
        return .commit
      }
    }
  }

  /// The open transaction of `change`.
  struct Transaction {
    fileprivate let db: Database
    /// Whether `index.json` has to be written.
    fileprivate(set) var hasChanges = false

    fileprivate init(db: Database) { self.db = db }

    func rows() throws -> [Row] {
      func names(_ table: String) throws -> [String: [String]] {
        try GRDB.Row.fetchAll(db, sql: "SELECT id, name FROM \(table) ORDER BY name")
          .reduce(into: [:]) { $0[$1["id"], default: []].append($1["name"]) }
      }
      let tags = try names("tag")
      let digests = try names("repoDigest")
      return try GRDB.Row.fetchAll(
        db, sql: "SELECT id, manifest, mediaType, manifestSize, size FROM image ORDER BY id"
      ).map { row in
        let id: String = row["id"]
        return Row(
          id: try Digest(id),
          manifest: Descriptor(
            mediaType: row["mediaType"], digest: try Digest(row["manifest"]), size: row["manifestSize"]),
          size: row["size"], tags: tags[id] ?? [], repoDigests: digests[id] ?? [])
      }
    }

    /// Has `index.json` written without a change: it is not what it should be.
    mutating func rewriteIndex() { hasChanges = true }

    /// Adds or replaces the image, and adds its names, taken from other images where they have them.
    mutating func put(_ row: Row) throws {
      hasChanges = true
      try db.execute(
        sql: """
          INSERT INTO image (id, manifest, mediaType, manifestSize, size) VALUES (?, ?, ?, ?, ?)
          ON CONFLICT(id) DO UPDATE SET manifest = excluded.manifest, mediaType = excluded.mediaType,
            manifestSize = excluded.manifestSize, size = excluded.size
          """,
        arguments: [row.id.text, row.manifest.digest.text, row.manifest.mediaType, row.manifest.size, row.size])
      for name in row.tags { try tag(name, row.id) }
      for name in row.repoDigests {
        try db.execute(
          sql: "INSERT OR REPLACE INTO repoDigest (name, id) VALUES (?, ?)", arguments: [name, row.id.text])
      }
    }

    mutating func tag(_ name: String, _ id: Digest) throws {
      hasChanges = true
      try db.execute(sql: "INSERT OR REPLACE INTO tag (name, id) VALUES (?, ?)", arguments: [name, id.text])
    }

    mutating func untag(_ name: String) throws {
      hasChanges = true
      try db.execute(sql: "DELETE FROM tag WHERE name = ?", arguments: [name])
      try db.execute(sql: "DELETE FROM repoDigest WHERE name = ?", arguments: [name])
    }

    mutating func remove(_ id: Digest) throws {
      hasChanges = true
      for table in ["tag", "repoDigest", "image"] {
        try db.execute(sql: "DELETE FROM \(table) WHERE id = ?", arguments: [id.text])
      }
    }

    /// Remembers that `blob` is a compressed form of the layer `diffID`.
    func link(_ blob: Digest, to diffID: Digest, mediaType: String) throws {
      try db.execute(
        sql: "INSERT OR REPLACE INTO compressed (blob, diffID, mediaType) VALUES (?, ?, ?)",
        arguments: [blob.text, diffID.text, mediaType])
    }

    func unlink(_ blob: Digest) throws {
      try db.execute(sql: "DELETE FROM compressed WHERE blob = ?", arguments: [blob.text])
    }
  }
}
