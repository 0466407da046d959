internal import Core
internal import Linux
internal import Store

/// A step's own directories on the store's file system: the overlay's upper and work, and files shown to the process.
struct StepFolder: Sendable {
  let path: String
  var upper: String { path + "/upper" }
  var work: String { path + "/work" }
  /// A lower layer for steps on top of nothing.
  var empty: String { path + "/empty" }
  var log: String { path + "/log" }

  init(_ store: Store) throws {
    path = try store.makeTemporaryDirectory("step", mode: 0o755)
    for name in [upper, work, empty] {
      try HostPath.makeDirectories(name)
      // The root directory of the container takes its mode from here, whatever the umask.
      try Directory(name).file.setMode(0o755)
    }
  }

  /// Removes all of it; what is left, if anything, goes with the process's temporary directory.
  func remove() { try? HostPath.removeTree(path) }
}
