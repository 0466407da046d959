import Core
import Foundation
import Linux
import Synchronization
@testable import Engine

/// A directory with a store that has a busybox image `base`, and an engine on it; gone with the value.
final class Bench {
  let path: String
  let engine: Engine

  /// Whether this machine can build and run: root, and a static busybox.
  static let isUsable: Bool = {
    let usable = geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/bin/busybox")
    if !usable { print("skipped: building and running needs root and a static /bin/busybox") }
    return usable
  }()

  init() async throws {
    // Not /tmp, which may be an overlay: overlays do not stack on it.
    path = try HostPath.makeTemporaryDirectory("/var/tmp/stave-engine-test-")
    engine = Engine(root: path + "/store")
    try FileManager.default.createDirectory(atPath: path + "/context", withIntermediateDirectories: true)
    try Bench.makeRoot(path + "/root")
    let tar = Process()
    tar.executableURL = URL(filePath: "/bin/busybox")
    tar.arguments = ["tar", "-cf", path + "/root.tar", "-C", path + "/root", "."]
    try tar.run()
    tar.waitUntilExit()
    _ = try await engine.importImage(
      .path(path + "/root.tar"), reference: "base", message: nil, changes: ["ENV PATH=/bin", "CMD [\"true\"]"])
  }

  deinit { try? HostPath.removeTree(path) }

  private static func makeRoot(_ root: String) throws {
    let manager = FileManager.default
    for name in ["bin", "etc", "tmp"] {
      try manager.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
    }
    try manager.copyItem(atPath: "/bin/busybox", toPath: "\(root)/bin/busybox")
    let applets = [
      "sh", "true", "cat", "sleep", "echo", "kill", "test", "mkdir", "touch", "grep", "dd", "ln", "rm", "ls", "date",
    ]
    for applet in applets {
      try manager.createSymbolicLink(atPath: "\(root)/bin/\(applet)", withDestinationPath: "busybox")
    }
    try Data("root:x:0:0:root:/root:/bin/sh\n".utf8).write(to: URL(filePath: "\(root)/etc/passwd"))
  }

  /// Puts a file in the build context.
  func put(_ text: String, at name: String) throws {
    try HostPath.write(Array(text.utf8), to: "\(path)/context/\(name)")
  }

  /// A request for the Dockerfile `text`.
  func request(_ text: String, tags: [String] = []) -> BuildRequest {
    var request = BuildRequest(context: path + "/context")
    request.dockerfile = .bytes(Array(text.utf8))
    request.tags = tags
    return request
  }

  @discardableResult
  func build(_ text: String, tags: [String] = []) async throws -> BuildOutcome {
    try await engine.build(request(text, tags: tags)) { _ in }
  }

  /// Runs a shell script in a new container of `base`.
  func sh(_ script: String, name: String? = nil, removed: Bool = true) async throws -> Int32 {
    var request = RunRequest(image: "base", command: ["sh", "-c", script])
    request.name = name
    request.removeAfterwards = removed
    return try await engine.run(request)
  }

  /// Names that processes keep below the store's temporary directory.
  func temporaries() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path + "/store/tmp").sorted()
  }
}

/// What a build's progress told.
final class Events: Sendable {
  private let events = Mutex<[ProgressEvent]>([])

  func take(_ event: ProgressEvent) { events.withLock { $0.append(event) } }

  /// How the steps that ended did, in that order.
  var outcomes: [ProgressEvent.Outcome] {
    events.withLock { events in
      events.compactMap { if case .stepFinished(_, let outcome, _, _) = $0 { outcome } else { nil } }
    }
  }

  /// All output of steps.
  var output: String {
    events.withLock { events in
      String(
        decoding: events.flatMap { event -> [UInt8] in
          if case .stepLog(_, _, let bytes, _) = event { bytes } else { [] }
        },
        as: UTF8.self)
    }
  }
}
