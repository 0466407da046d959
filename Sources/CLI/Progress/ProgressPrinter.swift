internal import Core
internal import Linux
internal import Synchronization

/// Writes a view's text to standard error as events come and time passes.
final class ProgressPrinter: Sendable {
  private let view: Mutex<any ProgressView>
  private let console: Console

  init(view: sending any ProgressView, console: Console) {
    self.view = Mutex(view)
    self.console = console
  }

  /// Tells `event`; may be called from any thread.
  @Sendable func handle(_ event: ProgressEvent) {
    view.withLock { view in
      let text = view.text(for: event)
      if !text.isEmpty { console.error(text) }
    }
  }

  /// Runs `body` while the view's clock ticks ten times a second, where it has one.
  func whileTicking<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
    guard view.withLock({ $0.showsTime }) else { return try await body() }
    // What ends the clock is the end of the pipe: nobody waits for its next tick.
    var pipe: (read: OpenFile, write: OpenFile)? = try OpenFile.pipe()
    let ticks = Task { [self, end = pipe?.read] in
      await BlockingPool.shared.run { [self] in
        guard let end else { return }
        while let ready = try? Poll.readable([end.descriptor], milliseconds: 100), ready.isEmpty { tick() }
      }
    }
    let result: Result<T, any Error>
    do {
      result = .success(try await body())
    } catch {
      result = .failure(error)
    }
    pipe = nil
    await ticks.value
    return try result.get()
  }

  private func tick() {
    let size = StandardStream.error.size
    view.withLock { view in
      if let size { view.resize(columns: size.columns, rows: size.rows) }
      let text = view.text(at: Machine.now())
      if !text.isEmpty { console.error(text) }
    }
  }
}
