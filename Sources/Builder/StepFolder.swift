internal import Core
internal import Linux
internal import Store

/// A step's own directories on the store's file system: the overlay's upper and work, and files shown to the process.
///
/// When the step has ended, its upper is a lower of the steps on top until its layer is in the store. The folder is
/// removed when nobody refers to it.
final class StepFolder: Sendable {
  let path: String
  /// The upper, whatever it is named meanwhile.
  let upperDirectory: Directory
  private let removal: BackgroundRemoval

  var upper: String { path + "/upper" }
  var work: String { path + "/work" }
  /// A lower layer for steps on top of nothing.
  var empty: String { path + "/empty" }
  var log: String { path + "/log" }

  init(_ store: Store, _ removal: BackgroundRemoval) throws {
    let path = try store.makeTemporaryDirectory("step", mode: 0o755)
    do {
      upperDirectory = try Self.make(path + "/upper")
      _ = try Self.make(path + "/work")
      _ = try Self.make(path + "/empty")
    } catch {
      removal.remove(path)
      throw error
    }
    self.path = path
    self.removal = removal
  }

  deinit { removal.remove(path) }

  /// The upper as a path that stays good when it is renamed, as long as this object lives.
  var frozenUpper: String { "/proc/self/fd/\(upperDirectory.file.descriptor)" }

  private static func make(_ path: String) throws -> Directory {
    try HostPath.makeDirectories(path)
    let directory = try Directory(path)
    // The root directory of the container takes its mode from here, whatever the umask.
    try directory.file.setMode(0o755)
    return directory
  }
}
