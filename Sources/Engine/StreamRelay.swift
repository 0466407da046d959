internal import Core
internal import Linux
internal import Sandbox

/// One loop that moves bytes between a container's streams and ours, passes signals on, and ends with the process.
final class StreamRelay {
  private let process: RunningProcess
  private let signals: SignalQueue
  private var outputs: [(from: OpenFile, to: StandardStream, isOpen: Bool)] = []
  private var input: OpenFile?
  private lazy var source = try? OpenFile.duplicate(StandardStream.input.rawValue, path: "standard input")

  init(process: RunningProcess, signals: SignalQueue) {
    self.process = process
    self.signals = signals
  }

  func addOutput(from: OpenFile, to: StandardStream) { outputs.append((from, to, true)) }

  /// Our standard input goes to `file`.
  func addInput(to file: OpenFile) { input = file }

  /// Runs until the process has ended and its output is drained. `resize` is the terminal that follows our size.
  func run(resize: OpenFile?) throws -> ExitStatus {
    var status: ExitStatus?
    while status == nil || outputs.contains(where: \.isOpen) {
      var descriptors: [Int32] = [
        status == nil ? process.handle.file.descriptor : -1, signals.descriptor,
        input == nil || status != nil ? -1 : StandardStream.input.rawValue,
      ]
      descriptors += outputs.map { $0.isOpen ? $0.from.descriptor : -1 }
      // After the end, only what is already there is drained: a pipe that something else holds must not keep us.
      let ready = try Poll.readable(descriptors, milliseconds: status == nil ? nil : 0)
      if status != nil, ready.allSatisfy({ $0 < 3 }) { break }
      for index in ready {
        switch index {
        case 0: status = try process.wait()
        case 1: try forwardSignal(resize)
        case 2: relayInput()
        default: relayOutput(index - 3)
        }
      }
    }
    return try status ?? process.wait()
  }

  private func forwardSignal(_ resize: OpenFile?) throws {
    guard let signal = try signals.next(milliseconds: 0) else { return }
    if signal == .windowChange {
      if let resize { try? WindowSize(of: StandardStream.output.rawValue)?.apply(to: resize.descriptor) }
      return
    }
    // The process may have ended between the signal and now.
    try? process.kill(signal)
  }

  private func relayInput() {
    guard let target = input else { return }
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = bytes.withUnsafeMutableBytes { (try? source?.read(into: $0)) ?? 0 }
    // The end of our input is the container's: the last reference closes its end. A process that no longer reads does
    // not end the run: its exit does.
    guard count > 0, (try? target.write(Array(bytes[..<count]))) != nil else {
      input = nil
      return
    }
  }

  private func relayOutput(_ index: Int) {
    var bytes = [UInt8](repeating: 0, count: 65536)
    // The terminal of an ended process answers EIO: the same as an end.
    let count = bytes.withUnsafeMutableBytes { (try? outputs[index].from.read(into: $0)) ?? 0 }
    guard count > 0, outputs[index].to.write(Array(bytes[..<count])) else {
      outputs[index].isOpen = false
      return
    }
  }
}
