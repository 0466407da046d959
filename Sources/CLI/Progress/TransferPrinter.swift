internal import Core
internal import Linux
internal import Synchronization

/// Writes a transfer's lines as events come, from any thread.
final class TransferPrinter: Sendable {
  private let view: Mutex<TransferView>
  private let stream: StandardStream
  private let console: Console

  /// Writes to standard output, or to standard error where the command's result is something else.
  init(_ console: Console, to stream: StandardStream) {
    self.console = console
    self.stream = stream
    view = Mutex(TransferView(size: stream.isTerminal ? stream.size ?? (80, 24) : nil))
  }

  @Sendable func handle(_ event: TransferEvent) { view.withLock { print($0.text(for: event, at: Machine.now())) } }

  /// Leaves the last picture as it is.
  func finish() { view.withLock { print($0.end(at: Machine.now())) } }

  private func print(_ text: String) {
    if text.isEmpty { return }
    if stream == .output { console.print(text) } else { console.error(text) }
  }
}
