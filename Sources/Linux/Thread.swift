internal import Glibc

/// A thread of the system, for code that is itself synchronous. It belongs to no task.
struct Thread: @unchecked Sendable {
  private let handle: pthread_t

  /// Runs `body` on a new thread; nil if the system has none left. `join` or `detach` it.
  static func start(_ body: @escaping @Sendable () -> Void) -> Thread? {
    var handle = pthread_t()
    let argument = Unmanaged.passRetained(Start(body))
    let result = pthread_create(
      &handle, nil,
      { raw in
        if let raw { Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body() }
        return nil
      }, argument.toOpaque())
    if result != 0 {
      argument.release()
      return nil
    }
    return Thread(handle: handle)
  }

  /// Waits until the body has ended.
  func join() { pthread_join(handle, nil) }

  /// Lets it end by itself.
  func detach() { pthread_detach(handle) }

  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
