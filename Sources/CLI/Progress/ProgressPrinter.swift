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

  /// Runs `body` while the view's clock ticks ten times a second.
  func whileTicking<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
    let ticks = Task { [self] in
      while !Task.isCancelled {
        try await Task.sleep(for: .milliseconds(100))
        tick()
      }
    }
    do {
      let value = try await body()
      ticks.cancel()
      _ = await ticks.result
      return value
    } catch {
      ticks.cancel()
      _ = await ticks.result
      throw error
    }
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
