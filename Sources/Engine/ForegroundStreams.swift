internal import Core
internal import Linux
internal import Sandbox

/// The streams of a container in the foreground: this process's own, handed over where they are files or pipes, and
/// relayed where they are a terminal, which a container must not hold.
final class ForegroundStreams {
  private var stdio: Stdio?
  /// From the container to a stream of ours.
  private var outputs: [(from: OpenFile, to: StandardStream)] = []
  /// From our standard input to the container.
  private var input: OpenFile?
  private let isTerminal: Bool
  private let interactive: Bool

  init(_ request: RunRequest) throws {
    isTerminal = request.terminal
    interactive = request.interactive
    if request.terminal {
      stdio = .terminal(WindowSize(of: StandardStream.output.rawValue))
      return
    }
    var given: OpenFile?
    if request.interactive {
      if StandardStream.input.isTerminal {
        let pipe = try OpenFile.pipe()
        given = pipe.read
        input = pipe.write
      } else {
        given = try OpenFile.duplicate(0, path: "standard input")
      }
    }
    var files: [OpenFile] = []
    for stream in [StandardStream.output, .error] {
      if stream.isTerminal {
        let pipe = try OpenFile.pipe()
        files.append(pipe.write)
        outputs.append((pipe.read, stream))
      } else {
        files.append(try OpenFile.duplicate(stream.rawValue, path: "standard stream \(stream.rawValue)"))
      }
    }
    stdio = .files(input: given, output: files[0], error: files[1])
  }

  /// The streams for the process, once: nothing of ours keeps its ends, so that it sees the end of its input, and we
  /// that of its output.
  func takeStdio() -> Stdio {
    defer { stdio = nil }
    return stdio ?? .none
  }

  /// Relays streams and signals until the process has ended.
  func run(_ process: RunningProcess, _ signals: SignalQueue) throws -> ExitStatus {
    if let terminal = process.terminal { return try runTerminal(process, terminal, signals) }
    let relay = StreamRelay(process: process, signals: signals)
    if let input { relay.addInput(to: input) }
    input = nil
    for (from, to) in outputs { relay.addOutput(from: from, to: to) }
    return try relay.run(resize: nil)
  }

  private func runTerminal(_ process: RunningProcess, _ terminal: OpenFile, _ signals: SignalQueue) throws -> ExitStatus
  {
    let relay = StreamRelay(process: process, signals: signals)
    relay.addOutput(from: terminal, to: .output)
    if interactive { relay.addInput(to: terminal) }
    guard interactive, StandardStream.input.isTerminal else { return try relay.run(resize: terminal) }
    let mode = try TerminalMode(of: StandardStream.input.rawValue)
    try mode.raw.apply(to: StandardStream.input.rawValue)
    defer { try? mode.apply(to: StandardStream.input.rawValue) }
    return try relay.run(resize: terminal)
  }
}
