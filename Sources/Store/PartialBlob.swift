internal import Core
internal import Linux

/// A blob that is being fetched. What has come stays when its command ends early, and the next one goes on from there;
/// a lock keeps a second one waiting meanwhile.
final class PartialBlob {
  let path: String
  let file: OpenFile
  private let lock: FileLock

  /// Partial blobs are forgotten when nothing was added to them for so many seconds.
  private static let lifetime: Int64 = 7 * 86400

  private init(path: String, file: OpenFile, lock: FileLock) {
    self.path = path
    self.file = file
    self.lock = lock
  }

  /// The partial blob `digest`, empty if nothing of it is there; nil as soon as the store has the blob. Where another
  /// command fetches it, this waits, and calls `waiting` once.
  static func open(_ digest: Digest, _ store: Store, waiting: () -> Void) throws -> PartialBlob? {
    let paths = store.paths
    if try HostPath.status(paths.partial) == nil { try HostPath.makeDirectories(paths.partial, mode: 0o700) }
    let path = "\(paths.partial)/\(digest.encoded)"
    var hasWaited = false
    while try !store.hasBlob(digest) {
      guard let lock = try FileLock.attempt(path, .exclusive) else {
        if !hasWaited { waiting() }
        hasWaited = true
        try Task.checkCancellation()
        pause(milliseconds: 20)
        continue
      }
      // It may have become the blob between the look and the lock.
      guard try lock.isCurrent(path) else { continue }
      if try store.hasBlob(digest) {
        try HostPath.removeFile(path)
        return nil
      }
      return PartialBlob(path: path, file: try OpenFile(path, .readWrite, permissions: 0o600), lock: lock)
    }
    return nil
  }

  /// Drops what has come: it is not what was asked for.
  func empty() throws { try file.truncate(to: 0) }

  /// Removes those that nobody has added to for long, and with `all` every one that nobody fetches now.
  static func removeStale(_ store: Store, all: Bool) throws {
    guard try HostPath.status(store.paths.partial) != nil else { return }
    let now = Machine.now().seconds
    for name in try Directory(store.paths.partial).entries().map({ String(decoding: $0, as: UTF8.self) }) {
      let path = "\(store.paths.partial)/\(name)"
      guard let status = try HostPath.status(path), all || status.mtime.seconds < now - lifetime,
        let lock = try FileLock.attempt(path, .exclusive)
      else { continue }
      try HostPath.removeFile(path)
      lock.release()
    }
  }
}
