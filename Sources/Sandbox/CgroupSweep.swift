internal import Core
internal import Linux
internal import Synchronization

/// Removes the control groups that killed launchers left behind.
enum CgroupSweep {
  private static let done = Mutex<Set<String>>([])

  /// Removes what is left in `stave` of the hierarchy at `mount`; once in the life of a process.
  ///
  /// The kernel refuses to remove a group with processes in it. One that is locked, or so new that it may be locked
  /// just now, is about to get some.
  static func run(_ mount: String) {
    guard done.withLock({ $0.insert(mount).inserted }) else { return }
    guard let directory = try? Directory(mount + "/stave"), let names = try? directory.entries() else { return }
    let limit = Machine.now().seconds - 1
    for name in names {
      guard let status = try? directory.entryStatus(name), status.kind == .directory, status.ctime.seconds < limit
      else { continue }
      guard let lock = try? FileLock.attempt("\(mount)/stave/\(String(decoding: name, as: UTF8.self))", .exclusive)
      else { continue }
      defer { lock.release() }
      try? directory.removeDirectory(TreePath.root.child(name))
    }
  }
}
