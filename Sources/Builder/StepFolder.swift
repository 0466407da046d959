internal import Core
internal import Linux
internal import Store
internal import Synchronization

/// A step's own directories on the store's file system: the overlay's upper and work, and files shown to the process.
///
/// When the step has ended, its upper is a lower of the steps on top until its layer is in the store. The folder is
/// removed when nobody refers to it.
final class StepFolder: Sendable {
  let path: String
  /// The upper, whatever it is named meanwhile.
  let upperDirectory: Directory
  private let removal: BackgroundRemoval
  /// Where the upper is now, and how many sandboxes are being started that know it by that path.
  private let place: Mutex<(path: String, users: Int)>

  var upper: String { path + "/upper" }
  var work: String { path + "/work" }
  var log: String { path + "/log" }

  init(_ store: Store, _ removal: BackgroundRemoval) throws {
    let path = try store.makeTemporaryDirectory("step", mode: 0o755)
    do {
      upperDirectory = try Self.make(path + "/upper")
      _ = try Self.make(path + "/work")
    } catch {
      removal.remove(path)
      throw error
    }
    self.path = path
    self.removal = removal
    place = Mutex((path + "/upper", 0))
  }

  deinit { removal.remove(path) }

  /// The path of an upper, good as long as this object lives: a sandbox opens its lowers by path, in a mount namespace
  /// of its own, where the kernel takes no descriptor of ours.
  final class Use: Sendable {
    let path: String
    private let folder: StepFolder

    fileprivate init(_ folder: StepFolder) {
      self.folder = folder
      path = folder.place.withLock { place in
        place.users += 1
        return place.path
      }
    }

    deinit { folder.place.withLock { $0.users -= 1 } }
  }

  /// The upper's path for a sandbox that is about to be started.
  func use() -> Use { Use(self) }

  /// Lets `body` move the upper away from the path that it is given to the one that it returns, nil if it left it
  /// there; false if a sandbox is being started on it now. Blocks.
  func move(_ body: (String) throws -> String?) throws -> Bool {
    try place.withLock { place in
      if place.users > 0 { return false }
      if let path = try body(place.path) { place.path = path }
      return true
    }
  }

  /// A lower layer for a step on top of nothing.
  func makeEmpty() throws -> String {
    let empty = path + "/empty"
    _ = try Self.make(empty)
    return empty
  }

  private static func make(_ path: String) throws -> Directory {
    try HostPath.makeDirectories(path)
    let directory = try Directory(path)
    // The root directory of the container takes its mode from here, whatever the umask.
    try directory.file.setMode(0o755)
    return directory
  }
}
