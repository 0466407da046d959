public import Core
public import Graph
internal import Linux
public import Store
internal import Synchronization

/// Sends a build's layers while later steps run: each as soon as it is packed. What goes wrong meanwhile is left to the
/// push of the whole image, which tries again and tells.
public final class StreamingPush: Sendable {
  private let store: Store
  private let push: ImagePush
  private let reference: ImageReference
  private let vertices: Set<VertexID>
  private let tasks = Mutex<[Digest: Task<Void, Never>]>([:])

  /// Sends the layers that the images of `plans` will have to the repository of `reference`.
  public init(_ plans: [BuildPlan], store: Store, push: ImagePush, to reference: ImageReference) {
    self.store = store
    self.push = push
    self.reference = reference
    vertices = Set(
      plans.flatMap(\.history).compactMap { item in if case .layer(let vertex) = item.origin { vertex } else { nil } })
  }

  /// Begins to send the layer that `vertex` made, if the image will have it.
  @Sendable public func layerMade(_ vertex: VertexID, _ diffID: Digest) {
    guard vertices.contains(vertex), diffID != Store.emptyDiffID else { return }
    tasks.withLock { tasks in
      if tasks[diffID] == nil {
        tasks[diffID] = Task { [push, reference] in try? await push.sendEarly(diffID, to: reference) }
      }
    }
  }

  /// Waits until all that was begun has ended; with `cancelling` that is soon.
  public func settle(cancelling: Bool) async {
    let begun = tasks.withLock { $0.values.map { $0 } }
    if cancelling { for task in begun { task.cancel() } }
    for task in begun { await task.value }
  }
}
