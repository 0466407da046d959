internal import Core
internal import Linux
internal import Synchronization

/// A process's own directory below `tmp/`, held by a flock: whoever finds it without a holder removes it.
final class Workspace: Sendable {
  let path: String
  private let lock: FileLock
  private let counter = Mutex(0)

  /// Makes and locks a new one. The lock on `tmp` itself closes the gap between the two.
  init(_ paths: StorePaths) throws {
    let gate = try FileLock.acquire(paths.temporary, .exclusive)
    path = try HostPath.makeTemporaryDirectory("\(paths.temporary)/\(Machine.processID)-")
    lock = try FileLock.acquire(path, .exclusive)
    gate.release()
  }

  deinit { try? HostPath.removeTree(path) }

  func newPath(_ prefix: String) -> String {
    let number = counter.withLock { counter in
      counter += 1
      return counter
    }
    return "\(path)/\(prefix)-\(number)"
  }

  /// Removes what has no holder; returns the names of what was removed.
  @discardableResult
  static func clean(_ paths: StorePaths) throws -> [String] {
    let names = try Directory(paths.temporary).entries().map { String(decoding: $0, as: UTF8.self) }
    if names.isEmpty { return [] }
    var dead: [(name: String, lock: FileLock)] = []
    // Another command that begins or cleans right now is reason enough to leave it to that or the next one.
    guard let gate = try FileLock.attempt(paths.temporary, .exclusive) else { return [] }
    for name in names {
      let path = "\(paths.temporary)/\(name)"
      guard let status = try HostPath.status(path, follow: false) else { continue }
      guard status.kind == .directory || status.kind == .regular else {
        try? HostPath.removeFile(path)
        continue
      }
      if let lock = try FileLock.attempt(path, .exclusive) { dead.append((name, lock)) }
    }
    gate.release()
    for (name, lock) in dead {
      try withExtendedLifetime(lock) { try HostPath.removeTree("\(paths.temporary)/\(name)") }
    }
    return dead.map(\.name)
  }
}
