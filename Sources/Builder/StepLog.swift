internal import Core
internal import Linux
internal import Sandbox
internal import Synchronization

/// The output of a step's process: read from two pipes, written to a file, shown as it comes, and its tail kept.
final class StepLog: Sendable {
  /// The file, which is there as soon as there is output.
  let path: String
  private let show: @Sendable (ProgressEvent.Stream, [UInt8]) -> Void
  private let readers: (output: OpenFile, error: OpenFile)
  private let writers: Mutex<(output: OpenFile, error: OpenFile)?>
  private let kept = Mutex<[UInt8]>([])
  /// Bytes of the tail: enough for the last screen.
  private static let tailSize = 16384
  private static let tailLines = 20

  init(path: String, show: @escaping @Sendable (ProgressEvent.Stream, [UInt8]) -> Void) throws {
    self.path = path
    self.show = show
    let output = try OpenFile.pipe()
    let error = try OpenFile.pipe()
    readers = (output.read, error.read)
    writers = Mutex((output.write, error.write))
  }

  /// The streams for the process, once. Nothing of ours keeps the ends for writing, so that the pipes end when the
  /// step's processes do.
  func takeStdio() -> Stdio {
    writers.withLock { writers in
      defer { writers = nil }
      return .files(input: nil, output: writers?.output, error: writers?.error)
    }
  }

  /// Reads both pipes to their ends.
  func drain() throws {
    var file: OpenFile?
    try Poll.drain([readers.output, readers.error]) { index, bytes in
      let log = try file ?? OpenFile(path, .create, permissions: 0o600)
      file = log
      try log.write(bytes)
      kept.withLock { kept in
        kept.append(contentsOf: bytes)
        if kept.count > Self.tailSize { kept.removeFirst(kept.count - Self.tailSize) }
      }
      show(index == 0 ? .stdout : .stderr, bytes)
    }
  }

  /// Whether anything was written so far.
  var hasOutput: Bool { kept.withLock { !$0.isEmpty } }

  /// The last lines of the output.
  var tail: [String] {
    let text = kept.withLock { String(decoding: $0, as: UTF8.self) }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).suffix(Self.tailLines + 1)
      .filter { !$0.isEmpty }.suffix(Self.tailLines)
  }
}
