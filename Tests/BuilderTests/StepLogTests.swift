import Core
import Linux
import Sandbox
import Synchronization
import Testing

@testable import Builder

@Suite struct StepLogTests {
  /// The log after a process wrote `output` and `error`, with what was shown meanwhile and what its file holds.
  private func log(output: String, error: String = "") throws -> (tail: [String], shown: [String], file: String) {
    let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-log-test-")
    defer { try? HostPath.removeTree(folder) }
    let shown = Mutex<[String]>([])
    let log = try StepLog(path: folder + "/log") { stream, bytes in
      shown.withLock { $0.append("\(stream.rawValue) \(bytes.count)") }
    }
    try write(output, error, log.takeStdio())
    try log.drain()
    let hasFile = try HostPath.status(folder + "/log") != nil
    #expect(hasFile == log.hasOutput)
    let file = hasFile ? try HostPath.read(folder + "/log") : []
    return (log.tail, shown.withLock { $0 }, String(decoding: file, as: UTF8.self))
  }

  /// The ends for writing close with `stdio`: less than a pipe holds is written at once.
  private func write(_ output: String, _ error: String, _ stdio: consuming Stdio) throws {
    guard case .files(nil, let first?, let second?) = stdio else { return }
    try first.write(output)
    try second.write(error)
  }

  @Test func keepsBothStreamsAndTellsThemApart() throws {
    let result = try log(output: "a\nb\n", error: "c\n")
    #expect(Set(result.shown) == ["stdout 4", "stderr 2"])
    #expect(Set(result.tail) == ["a", "b", "c"])
    #expect(result.file.utf8.count == 6)
  }

  @Test func tailIsTheLastTwentyLinesAndTheFileAll() throws {
    let text = (1...3000).map { "line \($0)\n" }.joined()
    let result = try log(output: text)
    #expect(result.tail == (2981...3000).map { "line \($0)" })
    #expect(result.file == text)
  }

  @Test func lastLineNeedsNoNewline() throws {
    #expect(try log(output: "a\nend").tail == ["a", "end"])
    #expect(try log(output: "").tail == [])
  }
}
