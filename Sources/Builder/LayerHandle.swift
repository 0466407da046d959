public import Core
internal import Synchronization

/// A layer of a running build: one of the store, or the upper directory of a step that has ended, which is being
/// packed.
public final class LayerHandle: Sendable {
  /// When the step that made it began; nil for a layer of the base image.
  public let created: Timestamp?
  private let state: Mutex<State>

  private enum State {
    case known(Digest)
    case pending(StepFolder, [CheckedContinuation<Digest, any Error>])
    case failed(any Error)
  }

  /// What a step can be given to see the layer.
  enum Place: Sendable {
    case stored(Digest)
    /// The upper in the folder, which must be kept as long as it is looked at.
    case upper(StepFolder)
  }

  /// A layer of the store.
  public init(_ diffID: Digest, created: Timestamp? = nil) {
    self.created = created
    state = Mutex(.known(diffID))
  }

  /// The upper of `folder`; `settle` or `fail` must follow.
  init(packing folder: StepFolder, created: Timestamp) {
    self.created = created
    state = Mutex(.pending(folder, []))
  }

  /// The layer's digest, nil while it is packed or if that failed.
  public var diffID: Digest? {
    state.withLock { if case .known(let diffID) = $0 { diffID } else { nil } }
  }

  /// Where the layer is now; throws what packing it threw.
  func place() throws -> Place {
    try state.withLock { state in
      switch state {
      case .known(let diffID): .stored(diffID)
      case .pending(let folder, _): .upper(folder)
      case .failed(let error): throw error
      }
    }
  }

  /// The layer's digest as soon as it is in the store; throws what packing it threw.
  public func packed() async throws -> Digest {
    try await withCheckedThrowingContinuation { continuation in
      let now = state.withLock { state -> Result<Digest, any Error>? in
        switch state {
        case .known(let diffID): return .success(diffID)
        case .failed(let error): return .failure(error)
        case .pending(let folder, let waiting):
          state = .pending(folder, waiting + [continuation])
          return nil
        }
      }
      if let now { continuation.resume(with: now) }
    }
  }

  /// Ends the packing: the layer is in the store, or `error` kept it from getting there.
  func settle(_ result: Result<Digest, any Error>) {
    // The folder is let go outside the lock.
    let before = state.withLock { state in
      let before = state
      switch result {
      case .success(let diffID): state = .known(diffID)
      case .failure(let error): state = .failed(error)
      }
      return before
    }
    guard case .pending(_, let waiting) = before else { return }
    for continuation in waiting { continuation.resume(with: result) }
  }
}
