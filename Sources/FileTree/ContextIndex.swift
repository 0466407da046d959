public import Core
public import Linux
internal import Synchronization

/// What the contents of a directory's files were, kept in a file from one build to the next, so that what has not
/// changed is not read again.
///
/// A file is known by device, inode, size and both times. One that was changed less than two seconds before it was
/// looked at is not remembered, as in git's index: a further change might leave its times as they are. The file is a
/// cache: what can't be read counts as empty, and an entry that does not fit its own checksum as none. Its form is
/// `IndexTable`.
public final class ContextIndex: Sendable {
  /// What is known of a file.
  public struct Known: Sendable, Equatable {
    public var digest: RawDigest
    /// Whether the file has the attribute `security.capability`.
    public var hasCapability: Bool

    public init(digest: RawDigest, hasCapability: Bool) {
      self.digest = digest
      self.hasCapability = hasCapability
    }
  }

  /// Entries that no build asked for are kept for this many savings.
  static let patience: UInt32 = 8
  /// So many new entries are held in memory before they are merged into the file.
  static let batch = 131_072

  private struct State {
    var table: IndexTable
    var learned: [IndexTable.Slot] = []
  }

  private let path: String
  private let temporary: @Sendable () throws -> String
  private let settled: Int64
  private let state: Mutex<State>

  /// Opens the index in the file `path`, which need not be there; `temporary` gives new paths on the same file system.
  /// `now`: files changed in the two seconds before it, or later, are not remembered; the time when the directory is
  /// first looked at.
  public init(
    _ path: String, temporary: @escaping @Sendable () throws -> String, now: Timestamp = Machine.now()
  ) {
    self.path = path
    self.temporary = temporary
    settled = now.seconds - 2
    state = Mutex(State(table: IndexTable(path)))
  }

  /// What is known of the file.
  public func known(_ file: FileIdentity) -> Known? { state.withLock { $0.table }.find(file) }

  /// Keeps what is known of the file, if it can be kept.
  public func remember(_ file: FileIdentity, _ known: Known) {
    guard file.mtime < settled, file.ctime < settled else { return }
    let slot = IndexTable.Slot(file, known)
    let isMuch = state.withLock { state in
      state.learned.append(slot)
      return state.learned.count >= ContextIndex.batch
    }
    // Without the file all is forgotten, no more.
    if isMuch { try? save() }
  }

  /// Replaces the file if anything was learned. Throws a `SystemError`; the caller may go on without.
  public func save() throws {
    try state.withLock { state in
      if state.learned.isEmpty { return }
      state.learned.sort { $0.hash < $1.hash }
      let name = try temporary()
      do {
        // Another build may have replaced the file meanwhile: what it learned is kept.
        let file = try OpenFile(name, .create, permissions: 0o600)
        try state.table.merged(with: state.table.isStill(path) ? nil : IndexTable(path), state.learned, into: file)
        try HostPath.rename(name, to: path)
      } catch {
        try? HostPath.removeFile(name)
        throw error
      }
      state.learned = []
      state.table = IndexTable(path)
    }
  }
}
