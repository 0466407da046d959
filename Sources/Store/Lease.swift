internal import Core
internal import Linux

/// A command's word that it works in the store: nothing that was made or used since it began is collected.
///
/// Any number of them live side by side, and beside a collection. `release` or the last reference ends it, and the
/// kernel does when the process dies.
public final class Lease: Sendable {
  private let presence: PresenceLock

  fileprivate init(_ presence: PresenceLock) { self.presence = presence }

  /// Gives the lease up; doing it again does nothing.
  public func release() { presence.release() }
}

extension Store {
  /// Keeps the garbage collector from what is made or used from now on, as long as the result lives. Whoever writes
  /// blobs, layers or records that no image names yet, or uses an image for longer than a moment, holds one. Waits for
  /// a collection that removes things right now.
  ///
  /// What is used is marked by its time of last change: blobs and layers when they are stored (again), records when
  /// they are found, images when they are looked up.
  public func lease() throws -> Lease {
    let gate = try gate(.shared)
    defer { gate.release() }
    // Times of files come from a clock that is up to a tick behind this one.
    let now = Machine.now()
    let since = Timestamp(seconds: now.seconds - 1, nanoseconds: now.nanoseconds)
    let presence = try PresenceLock.join(paths.lease, since: since)
    leaseBegan(presence.since)
    return Lease(presence)
  }

  /// The door between those who use things and the one who removes them: shared to look something up and mark it as
  /// used, exclusive to plan a removal and do it. Held for moments, and never while waiting for anything else but the
  /// database.
  func gate(_ kind: FileLock.Kind) throws -> FileLock { try FileLock.acquire(paths.lease, kind) }

  /// Runs `body` while nothing is collected.
  func sharing<T>(_ body: () throws -> T) throws -> T {
    let gate = try gate(.shared)
    defer { gate.release() }
    return try body()
  }

  /// Marks the file `path` as used now; under the gate. Returns false if it is not there. To spare the disk it is not
  /// marked again while a mark of this lease, or without one of this hour, stands. Where it can't be marked, on a
  /// read-only disk, nothing can be collected either.
  @discardableResult
  func markUsed(_ path: String, _ known: FileStatus? = nil) throws -> Bool {
    guard let status = try known ?? HostPath.status(path) else { return false }
    let now = Machine.now()
    let begin = leaseBegin
    let hourAgo = Timestamp(seconds: now.seconds - 3600, nanoseconds: now.nanoseconds)
    if status.mtime >= max(begin ?? hourAgo, hourAgo) { return true }
    do {
      return try HostPath.setModified(path, max(now, begin ?? now))
    } catch let error as SystemError
      where [.readOnly, .accessDenied, .notPermitted].contains(error.code)
    {
      return true
    }
  }
}
