import Core
import Foundation
import Linux
@testable import Sandbox

/// A directory of the test's own with a busybox root as the lower layer of an overlay; removed at the end.
final class Rootfs {
  let directory: String
  let launcher: SandboxLauncher

  /// Whether this machine can run containers: root, and a static busybox.
  static let isUsable = geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/bin/busybox")

  init() throws {
    directory = "/var/tmp/stave-sandbox-test-\(UUID().uuidString)"
    let manager = FileManager.default
    for name in ["lower/bin", "lower/etc", "lower/tmp", "upper", "work", "state"] {
      try manager.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
    }
    try manager.copyItem(atPath: "/bin/busybox", toPath: "\(directory)/lower/bin/busybox")
    for applet in [
      "sh", "true", "cat", "id", "hostname", "ls", "mknod", "ip", "grep", "sleep", "echo", "kill", "mount", "stat",
      "touch", "tty", "stty", "rm", "ps", "chmod", "head", "test", "pwd", "sysctl", "umask", "readlink",
    ] {
      try manager.createSymbolicLink(atPath: "\(directory)/lower/bin/\(applet)", withDestinationPath: "busybox")
    }
    try Data("root:x:0:0:root:/root:/bin/sh\n".utf8).write(to: URL(fileURLWithPath: "\(directory)/lower/etc/passwd"))
    launcher = SandboxLauncher(stateDirectory: "\(directory)/state")
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  var root: ProcessSpec.Root {
    .overlay(lowers: [.tree("\(directory)/lower")], upper: "\(directory)/upper", work: "\(directory)/work")
  }

  func spec(_ arguments: [String], user: ProcessSpec.User = .init(), network: ProcessSpec.Network = .host)
    -> ProcessSpec
  {
    .dockerDefault(
      arguments: arguments, environment: ["PATH=/bin"], user: user, root: root, network: network, hostname: "box")
  }

  /// A fresh work directory: an overlay with `volatile` must not take one twice.
  func renewWork() throws {
    try HostPath.removeTree("\(directory)/work")
    try HostPath.makeDirectories("\(directory)/work")
  }

  /// Runs `spec` to its end and returns what it wrote.
  func run(_ spec: ProcessSpec) throws -> (status: ExitStatus, output: String, process: RunningProcess) {
    try renewWork()
    // At most 64 KiB of output: it is read after the end.
    let pipe = try OpenFile.pipe()
    let process = try launcher.launch(spec, stdio: .files(input: nil, output: pipe.write, error: pipe.write))
    let status = try process.wait()
    guard fcntl(pipe.read.descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw POSIXError(.EIO) }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while let count = try? chunk.withUnsafeMutableBytes({ try pipe.read.read(into: $0) }), count > 0 {
      output += chunk[..<count]
    }
    return (status, String(decoding: output, as: UTF8.self), process)
  }

  /// Runs `script` in the shell.
  func sh(_ script: String) throws -> (status: ExitStatus, output: String, process: RunningProcess) {
    try run(spec(["sh", "-c", script]))
  }
}
