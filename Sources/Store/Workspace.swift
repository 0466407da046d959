internal import Core
internal import Linux
internal import Synchronization

/// A process's own directory below `tmp/`, held by a flock: whoever finds it without a holder removes it.
final class Workspace: Sendable {
  let path: String
  private let lock: FileLock
  private let counter = Mutex(0)
  private let isMoved = Mutex(false)

  /// Makes and locks a new one. The lock on `tmp` itself closes the gap between the two.
  init(_ paths: StorePaths) throws {
    let gate = try FileLock.acquire(paths.temporary, .exclusive)
    path = try HostPath.makeTemporaryDirectory("\(paths.temporary)/\(Machine.processID)-")
    lock = try FileLock.acquire(path, .exclusive)
    gate.release()
  }

  deinit { if !isMoved.withLock({ $0 }) { try? HostPath.removeTree(path) } }

  /// Moves the directory, which stays held as long as this object lives, out of `tmp`.
  func move(to place: String) throws {
    try HostPath.rename(path, to: place)
    isMoved.withLock { $0 = true }
  }

  func newPath(_ prefix: String) -> String {
    let number = counter.withLock { counter in
      counter += 1
      return counter
    }
    return "\(path)/\(prefix)-\(number)"
  }

  /// What `clean` did.
  struct Cleaning: Sendable {
    /// Names of what was removed.
    var removed: [String] = []
    /// What has no holder and can't be removed now, as where its owner has another id, and why.
    var left: [(name: String, reason: String)] = []
  }

  /// Removes what has no holder. What can't be removed is in nobody's way.
  @discardableResult
  static func clean(_ paths: StorePaths) throws -> Cleaning {
    var out = Cleaning()
    let names = try Directory(paths.temporary).entries().map { String(decoding: $0, as: UTF8.self) }
    if names.isEmpty { return out }
    var dead: [(name: String, lock: FileLock)] = []
    // Another command that begins or cleans right now is reason enough to leave it to that or the next one.
    guard let gate = try FileLock.attempt(paths.temporary, .exclusive) else { return out }
    for name in names {
      let path = "\(paths.temporary)/\(name)"
      out.attempt(name) {
        guard let status = try HostPath.status(path, follow: false) else { return }
        guard status.kind == .directory || status.kind == .regular else { return try HostPath.removeFile(path) }
        if let lock = try FileLock.attempt(path, .exclusive) { dead.append((name, lock)) }
      }
    }
    gate.release()
    for (name, lock) in dead {
      let count = out.left.count
      out.attempt(name) {
        try withExtendedLifetime(lock) { try HostPath.removeTree("\(paths.temporary)/\(name)") }
      }
      if out.left.count == count { out.removed.append(name) }
    }
    return out
  }
}

extension Workspace.Cleaning {
  /// Does what concerns `name`; an error says why it is left.
  fileprivate mutating func attempt(_ name: String, _ body: () throws -> Void) {
    do {
      try body()
    } catch {
      left.append((name, (error as? SystemError)?.code.text ?? "\(error)"))
    }
  }
}
