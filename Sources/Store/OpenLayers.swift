internal import Core
internal import FileTree
internal import Synchronization

/// What this process has found out about layers and merged indexes, so that it looks once.
final class OpenLayers: Sendable {
  private struct State {
    var layers: [Digest: IndexLayer] = [:]
    var soundStacks: Set<String> = []
    var form: LayerFormFinding?
  }
  private let state = Mutex(State())

  /// The layer's index if it is open.
  func layer(_ diffID: Digest) -> IndexLayer? { state.withLock { $0.layers[diffID] } }
  func keep(_ layer: IndexLayer, _ diffID: Digest) { state.withLock { $0.layers[diffID] = layer } }
  func drop(_ diffID: Digest) {
    state.withLock {
      $0.layers[diffID] = nil
      $0.soundStacks = []
    }
  }

  /// Whether the merged index at `path` was found sound.
  func isSound(_ path: String) -> Bool { state.withLock { $0.soundStacks.contains(path) } }
  func noteSound(_ path: String) { state.withLock { _ = $0.soundStacks.insert(path) } }

  /// The form of layers, once known.
  var form: LayerFormFinding? {
    get { state.withLock { $0.form } }
    set { state.withLock { $0.form = newValue } }
  }
}
