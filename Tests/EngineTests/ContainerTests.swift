import Core
import Foundation
import Linux
import Testing
@testable import Engine

@Suite(.serialized, .enabled(if: Bench.isUsable)) struct ContainerTests {
  @Test func exitCodesAreTheProcessOwn() async throws {
    let bench = try await Bench()
    #expect(try await bench.sh("exit 0") == 0)
    #expect(try await bench.sh("exit 7") == 7)
    #expect(try await bench.sh("kill -9 $$; kill -15 -1; exit 4") == 4)
    let missing = await #expect(throws: Failure.self) {
      _ = try await bench.engine.run(RunRequest(image: "base", command: ["nothing"]))
    }
    #expect(missing?.exitCode == 127)
    let denied = await #expect(throws: Failure.self) {
      _ = try await bench.engine.run(RunRequest(image: "base", command: ["/etc/passwd"]))
    }
    #expect(denied?.exitCode == 126)
    let image = await #expect(throws: Failure.self) { _ = try await bench.engine.run(RunRequest(image: "nowhere")) }
    #expect(image?.exitCode == 125)
  }

  @Test func nameFilesCanBeWrittenUnlessTheRootIsReadOnly() async throws {
    let bench = try await Bench()
    #expect(try await bench.sh("echo 10.0.0.1 x >> /etc/hosts && echo y > /etc/hostname && grep -q x /etc/hosts") == 0)
    var request = RunRequest(image: "base", command: ["sh", "-c", "echo x >> /etc/hosts"])
    request.removeAfterwards = true
    request.readonlyRoot = true
    #expect(try await bench.engine.run(request) != 0)
  }

  /// The exit code of the test `check`, in which `$set` is the container's bounding set as a number.
  private func capabilities(_ bench: Bench, _ check: String, _ change: (inout RunRequest) -> Void) async throws -> Int32
  {
    let script = "set=$(grep CapBnd /proc/self/status); set=$((0x${set##*[!0-9a-f]})); test \(check)"
    var request = RunRequest(image: "base", command: ["sh", "-c", script])
    request.removeAfterwards = true
    change(&request)
    return try await bench.engine.run(request)
  }

  @Test func capabilitiesAreAddedAndDroppedAsDockerDoes() async throws {
    let bench = try await Bench()
    let own = Machine.capabilities.rawValue
    let admin = UInt64(1) << UInt64(Capability.sysAdmin.rawValue)
    #expect(
      try await capabilities(bench, "$set = \(own & ~admin)") {
        $0.capabilitiesAdded = ["ALL"]
        $0.capabilitiesDropped = ["SYS_ADMIN"]
      } == 0)
    #expect(
      try await capabilities(bench, "$set = 1") {
        $0.capabilitiesAdded = ["CHOWN"]
        $0.capabilitiesDropped = ["ALL"]
      } == 0)
    #expect(try await capabilities(bench, "$set = \(own)") { $0.privileged = true } == 0)
  }

  @Test func containersAreListedRemovedAndPruned() async throws {
    let bench = try await Bench()
    #expect(try await bench.sh("exit 3", name: "first", removed: false) == 3)
    #expect(try await bench.sh("true", name: "second", removed: false) == 0)
    #expect(try await bench.sh("true", name: "third") == 0)
    #expect(try await bench.engine.containers(all: false, withSize: false).isEmpty)
    let all = try await bench.engine.containers(all: true, withSize: true)
    #expect(all.map(\.name) == ["second", "first"])
    guard case .exited(code: 3, _) = all[1].state else {
      Issue.record("the first container is \(all[1].state)")
      return
    }
    let taken = await #expect(throws: Failure.self) { _ = try await bench.sh("true", name: "first") }
    #expect(taken?.exitCode == 125)
    #expect(try await bench.engine.removeContainer("first", force: false) == "first")
    let pruned = try await bench.engine.pruneContainers(filters: [])
    #expect(pruned.containers == [all[0].id])
    #expect(try await bench.engine.containers(all: true, withSize: false).isEmpty)
  }

  @Test func runningContainerIsListedAndEndsOnlyByForce() async throws {
    let bench = try await Bench()
    let engine = bench.engine
    var request = RunRequest(image: "base", command: ["sleep", "1000"])
    request.name = "runs"
    request.removeAfterwards = true
    let run = Task { [request] in try await engine.run(request) }
    for _ in 0..<300 {
      if case .running(let pid, _)? = try await engine.containers(all: false, withSize: true).first?.state,
        pid != getpid()
      {
        break
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(try await engine.pruneContainers(filters: []).containers.isEmpty)
    await #expect(throws: Failure.self) { _ = try await engine.removeContainer("runs", force: false) }
    #expect(try await engine.removeContainer("runs", force: true) == "runs")
    #expect(try await run.value == 137)
    #expect(try await engine.containers(all: true, withSize: false).isEmpty)
  }

  @Test func environmentOfTheClientComesInOnlyWhenAsked() async throws {
    let bench = try await Bench()
    var request = RunRequest(image: "base", command: ["sh", "-c", "test \"$ASKED-$OTHER\" = yes-"])
    request.removeAfterwards = true
    request.environment = ["ASKED"]
    request.clientEnvironment = ["ASKED=yes", "OTHER=no"]
    #expect(try await bench.engine.run(request) == 0)
  }
}
