internal import Core
internal import Linux
internal import Store

extension Engine {
  /// The store at `root`, made if there is none.
  func openStore() async throws -> Store {
    let root = root
    FileLimit.raise()
    return try await BlockingPool.shared.run {
      do {
        return try Store.open(root: root, create: true)
      } catch let error as SystemError where error.code == .accessDenied || error.code == .notPermitted {
        throw Failure(
          "open store \(root)", error.code.text, hint: "run as root, or name a store of your own with --root")
      }
    }
  }

  /// Runs `body` with the store on a thread that may block.
  func withStore<T: Sendable>(_ body: @escaping @Sendable (Store) throws -> T) async throws -> T {
    let store = try await openStore()
    return try await BlockingPool.shared.run { try body(store) }
  }
}
