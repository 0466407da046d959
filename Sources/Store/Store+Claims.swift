public import Core
internal import Linux

/// The right to execute a step, held by one build of all that share the store, until nobody refers to it or the process
/// ends, however it ends.
public final class StepClaim: Sendable {
  private let lock: FileLock
  private let path: String

  fileprivate init(_ lock: FileLock, _ path: String) {
    self.lock = lock
    self.path = path
  }

  deinit {
    // While it is locked: whoever locks the file after this sees that it is not the one at the path.
    try? HostPath.removeFile(path)
    lock.release()
  }
}

extension Store {
  /// Takes the right to execute the step with the definition key `key`; nil if another build has it.
  public func claimStep(_ key: Digest) throws -> StepClaim? {
    let path = paths.claim(key)
    while true {
      guard let lock = try FileLock.attempt(path, .exclusive) else { return nil }
      if try lock.isCurrent(path) { return StepClaim(lock, path) }
    }
  }

  /// Removes claims that nobody holds.
  func removeStaleClaims() throws {
    for name in try Directory(paths.steps).entries().map({ String(decoding: $0, as: UTF8.self) })
    where name.hasSuffix(".lock") {
      // Taking one and letting it go removes it.
      if let key = try? Digest("sha256:" + name.dropLast(5)) { _ = try claimStep(key) }
    }
  }
}
