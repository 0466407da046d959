import Foundation
import Linux
import Testing

/// Signals by name, as they arrive, and terminals.
@Suite(.serialized) struct SignalsTests {
  @Test func names() {
    #expect(Signal("SIGTERM") == .terminate)
    #expect(Signal("term") == .terminate)
    #expect(Signal("9") == .kill)
    #expect(Signal("WINCH") == .windowChange)
    #expect(Signal("0") == nil)
    #expect(Signal("65") == nil)
    #expect(Signal("NOPE") == nil)
    #expect(Signal.terminate.description == "SIGTERM")
    #expect(Signal(rawValue: 40).description == "40")
    #expect(ExitStatus.signaled(.kill).code == 137)
    #expect(ExitStatus.exited(3).description == "exit code: 3")
  }

  @Test func queueKeepsTheOrder() throws {
    let queue = try SignalQueue([.user1, .windowChange])
    #expect(try queue.next(milliseconds: 0) == nil)
    try Signal.user1.send(to: getpid())
    #expect(try queue.next(milliseconds: 5000) == .user1)
    try Signal.windowChange.send(to: getpid())
    #expect(try queue.next(milliseconds: 5000) == .windowChange)
  }

  @Test func terminalModesAndSizes() throws {
    let pty = try Pty(size: WindowSize(rows: 11, columns: 22))
    #expect(WindowSize(of: pty.peer.descriptor) == WindowSize(rows: 11, columns: 22))
    try WindowSize(rows: 5, columns: 6).apply(to: pty.main.descriptor)
    #expect(WindowSize(of: pty.peer.descriptor) == WindowSize(rows: 5, columns: 6))
    let before = try TerminalMode(of: pty.peer.descriptor)
    try before.raw.apply(to: pty.peer.descriptor)
    // Raw: what is typed is not echoed, and arrives without an end of line.
    try pty.main.write("x")
    var byte = [UInt8](repeating: 0, count: 8)
    #expect(try byte.withUnsafeMutableBytes { try pty.peer.read(into: $0) } == 1)
    try before.apply(to: pty.peer.descriptor)
    let pipe = try OpenFile.pipe()
    #expect(WindowSize(of: pipe.read.descriptor) == nil)
    #expect(throws: SystemError.self) { try TerminalMode(of: pipe.read.descriptor) }
  }
}
