internal import Core
internal import Linux
internal import Store
internal import Synchronization

/// The files by which the processes of RUN know names: written once for all steps of a build that want the same, since
/// no process can change them.
final class SharedNameFiles: Sendable {
  private struct Wanted: Hashable {
    var addHosts: [String]
    var hasNetwork: Bool
  }

  private struct State {
    var written: [Wanted: ProcessSpec.NameFiles] = [:]
    var folders: [String] = []
  }

  private let store: Store
  private let state = Mutex(State())
  /// Hostname of a RUN's process, as BuildKit has it.
  static let hostname = "buildkitsandbox"

  init(_ store: Store) { self.store = store }

  /// The files for `addHosts`, `name:address` each; without a network there is no resolver.
  func files(addHosts: [String], hasNetwork: Bool) throws -> ProcessSpec.NameFiles {
    try state.withLock { state in
      let wanted = Wanted(addHosts: addHosts, hasNetwork: hasNetwork)
      if let written = state.written[wanted] { return written }
      let folder = try store.makeTemporaryDirectory("names")
      state.folders.append(folder)
      let files = try NameFiles.write(
        in: folder, hostname: Self.hostname, addHosts: addHosts, hasNetwork: hasNetwork)
      state.written[wanted] = files
      return files
    }
  }

  /// Hands all that was written to `removal`. No step runs any more.
  func remove(_ removal: BackgroundRemoval) {
    let folders = state.withLock { state in
      defer { state = State() }
      return state.folders
    }
    for folder in folders { removal.remove(folder) }
  }
}
