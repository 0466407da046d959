internal import Core
internal import Linux
internal import Synchronization

/// Everything Stave keeps on disk: blobs, layers, images, step records, containers.
///
/// Any number of processes and threads use one store at once; what must not happen twice is guarded by a flock or a
/// transaction. Killing a process at any instant leaves the store whole. All functions block: call them on a
/// `BlockingPool`. They throw `Failure` or `SystemError`.
public final class Store: Sendable {
  /// The absolute path of the store's directory.
  public let root: String
  let paths: StorePaths

  private struct Lazy {
    var workspace: Workspace?
    var database: StateDatabase?
    /// When the newest lease of this process began.
    var leaseBegin: Timestamp?
    /// What `index.json` said when it was read last.
    var rows: (status: FileStatus, rows: [StateDatabase.Row])?
    /// Bytes of layers that this process made.
    var added: Int64 = 0
  }
  private let lazy = Mutex(Lazy())
  let openLayers = OpenLayers()

  private init(root: String) {
    self.root = root
    paths = StorePaths(root: root)
  }

  /// Opens the store at `root`; where there is none it is made, or with `create` false a `Failure` thrown.
  /// What killed processes left behind is removed.
  public static func open(root: String, create: Bool = true) throws -> Store {
    let layout = try HostPath.status("\(root)/oci-layout")
    let exists = layout != nil
    if let layout, layout.uid != Machine.effectiveUserID {
      throw Failure(
        "open store \(root)", "it belongs to another user (uid \(layout.uid))",
        hint: "run stave as that user, or name a store of your own with --root")
    }
    if !exists {
      guard create else {
        throw Failure("open store \(root)", "no such store", hint: "build, load or import an image first")
      }
      try make(root)
    }
    let store = Store(root: try HostPath.canonical(root))
    if exists { _ = try store.removeLeftovers() }
    return store
  }

  /// Removes what killed commands left behind; returns what of it can't be removed, below `tmp`, and why.
  func removeLeftovers() throws -> [(name: String, reason: String)] {
    let cleaning = try Workspace.clean(paths)
    if !cleaning.removed.isEmpty {
      try removeStaleClaims()
      // It may have made layers that it could not count any more.
      try? forgetCacheEstimate()
    }
    return cleaning.left
  }

  private static func make(_ root: String) throws {
    try HostPath.makeDirectories(root, mode: 0o700)
    let paths = StorePaths(root: root)
    for path in [
      paths.blobs, paths.layers, paths.steps, paths.containerNames, paths.volumes, paths.temporary,
    ] {
      try HostPath.makeDirectories(path, mode: 0o700)
    }
    if try HostPath.status(paths.index) == nil {
      try HostPath.write(ImageIndex(manifests: []).json.bytes, to: paths.index)
    }
    // Last: its presence says that the rest is there.
    try HostPath.write(JSON.object(["imageLayoutVersion": "1.0.0"]).bytes, to: paths.layout)
  }

  /// A new path in this process's own temporary directory, on the store's file system; nothing is there yet. It is
  /// removed when the process ends, by the process or by the next one.
  public func temporaryPath(_ prefix: String = "file") throws -> String { try workspace().newPath(prefix) }

  /// As `temporaryPath`, with a new directory there.
  public func makeTemporaryDirectory(_ prefix: String = "dir", mode: UInt16 = 0o755) throws -> String {
    let path = try temporaryPath(prefix)
    try HostPath.makeDirectories(path, mode: mode)
    return path
  }

  /// When the newest lease of this process began, or nil if it has had none.
  var leaseBegin: Timestamp? { lazy.withLock { $0.leaseBegin } }

  func leaseBegan(_ time: Timestamp) {
    lazy.withLock { lazy in lazy.leaseBegin = max(time, lazy.leaseBegin ?? time) }
  }

  /// What `index.json` says, if it is still the file `status` that was read before.
  func knownRows(_ status: FileStatus) -> [StateDatabase.Row]? {
    lazy.withLock { lazy in lazy.rows.flatMap { $0.status == status ? $0.rows : nil } }
  }

  func noteRows(_ rows: [StateDatabase.Row], _ status: FileStatus) { lazy.withLock { $0.rows = (status, rows) } }

  /// Counts the bytes of a layer that this process made.
  func added(_ bytes: Int64) { lazy.withLock { $0.added += bytes } }

  /// The bytes that `added` counted since the last call.
  func takeAdded() -> Int64 {
    lazy.withLock { lazy in
      defer { lazy.added = 0 }
      return lazy.added
    }
  }

  func workspace() throws -> Workspace {
    try lazy.withLock { lazy in
      if let workspace = lazy.workspace { return workspace }
      let workspace = try Workspace(paths)
      lazy.workspace = workspace
      return workspace
    }
  }

  /// The database, opened on first use: only what changes images needs it.
  func database() throws -> StateDatabase {
    try lazy.withLock { lazy in
      if let database = lazy.database { return database }
      let database = try StateDatabase(paths: paths)
      lazy.database = database
      return database
    }
  }

  /// Writes a small file whole or not at all. Without `durable` a power cut, not a kill, may lose it.
  func replace(_ path: String, with bytes: [UInt8], durable: Bool) throws {
    let temporary = try temporaryPath()
    let file = try OpenFile(temporary, .create, permissions: 0o600)
    try file.write(bytes)
    if durable { try file.sync() }
    try HostPath.rename(temporary, to: path)
  }
}
