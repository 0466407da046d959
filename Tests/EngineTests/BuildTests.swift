import Core
import Foundation
import Linux
import Testing
@testable import Engine

@Suite(.serialized, .enabled(if: Bench.isUsable)) struct BuildTests {
  private static let dockerfile = """
    FROM base AS made
    COPY input /input
    RUN cat /input > /output
    FROM base
    COPY --from=made /output /result
    CMD ["cat", "/result"]
    """

  @Test func buildsAndTakesTheSecondTimeFromTheCache() async throws {
    let bench = try await Bench()
    try bench.put("one\n", at: "input")
    let first = try await bench.build(Self.dockerfile, tags: ["made:1"])
    #expect(first.executedSteps == 3)
    #expect(first.tags == ["made:1"])
    let second = try await bench.build(Self.dockerfile, tags: ["made:1"])
    #expect(second.executedSteps == 0)
    #expect(second.imageID == first.imageID)

    try bench.put("two\n", at: "input")
    let third = try await bench.build(Self.dockerfile, tags: ["made:1"])
    #expect(third.executedSteps == 3)
    #expect(third.imageID != first.imageID)
    var run = RunRequest(image: "made:1", command: ["grep", "-q", "two", "/result"])
    run.removeAfterwards = true
    #expect(try await bench.engine.run(run) == 0)
  }

  @Test func stepsRunOnLayersThatAreNotPackedYet() async throws {
    let bench = try await Bench()
    try bench.put("copied\n", at: "input")
    // Whiteouts, an opaque directory, a hard link and a COPY --from on uppers that are being packed.
    let dockerfile = """
      FROM base AS made
      RUN mkdir -p /d/e && dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null && echo 1 > /d/e/f && ln /d/e/f /d/g
      RUN test -f /big && rm /big && rm -r /d/e && mkdir /d/e && echo 2 > /d/e/h
      COPY input /d/input
      RUN true
      WORKDIR /d/w/x
      RUN test ! -e /big && test "$(ls /d/e)" = h && test "$(cat /d/g /d/input)" = "$(printf '1\\ncopied')" && pwd > /d/pwd
      FROM base
      COPY --from=made /d /d
      RUN test "$(echo /d/* /d/e/*)" = "/d/e /d/g /d/input /d/pwd /d/w /d/e/h" && cat /d/pwd | grep -q /d/w/x
      """
    let first = try await bench.build(dockerfile, tags: ["first"])
    #expect(first.executedSteps == 8)
    let again = try await bench.build(dockerfile, tags: ["again"])
    #expect(again.executedSteps == 0)
    #expect(again.imageID == first.imageID)
    #expect(try bench.temporaries() == [])
    #expect(try await bench.engine.checkStore(repair: false) == [])
  }

  @Test func rewrittenTimestampsMakeTwoRunsEqual() async throws {
    let bench = try await Bench()
    try bench.put("text\n", at: "input")
    try bench.put("0", at: "input-2")
    var request = bench.request(
      "FROM base\nRUN mkdir /d; echo x > /d/f\nCOPY input /d/\nCOPY . /c/\nWORKDIR /d/e\nRUN rm /d/f\n")
    request.noCache = true
    request.sourceDateEpoch = 1_700_000_000
    request.rewritesTimestamps = true
    let first = try await bench.engine.build(request) { _ in }
    // The clock of files moves on.
    try await Task.sleep(for: .milliseconds(20))
    try bench.put("0", at: "input-2")
    let second = try await bench.engine.build(request) { _ in }
    #expect(first.imageID == second.imageID)
    #expect(second.executedSteps == 5)
    request.rewritesTimestamps = false
    let other = try await bench.engine.build(request) { _ in }
    #expect(other.imageID != first.imageID)
  }

  @Test func stepsBeforeAFailingOneAreCachedNextTime() async throws {
    let bench = try await Bench()
    let events = Events()
    let dockerfile = "FROM base\nRUN echo 1 > /1\nRUN echo 2 > /2\nRUN exit 3\n"
    await #expect(throws: StepFailure.self) { try await bench.build(dockerfile) }
    await #expect(throws: StepFailure.self) {
      _ = try await bench.engine.build(bench.request(dockerfile)) { events.take($0) }
    }
    #expect(events.outcomes.filter { $0 == .cached }.count == 3)
    #expect(try bench.temporaries() == [])
  }

  @Test func concurrentBuildsRunASharedStepOnce() async throws {
    let bench = try await Bench()
    let engine = bench.engine
    let outcomes = try await withThrowingTaskGroup(of: BuildOutcome.self) { group in
      for number in 0..<6 {
        let request = bench.request("FROM base\nRUN sleep 0.2; date +%N > /a\nRUN echo b > /b\nENV N=\(number % 3)\n")
        group.addTask { try await engine.build(request) { _ in } }
      }
      return try await group.reduce(into: [BuildOutcome]()) { $0.append($1) }
    }
    #expect(outcomes.map(\.executedSteps).reduce(0, +) == 2)
    #expect(Set(outcomes.map(\.imageID)).count == 3)
    #expect(try bench.temporaries() == [])
  }

  @Test func failingStepTellsCodeTailAndPlace() async throws {
    let bench = try await Bench()
    let failure = await #expect(throws: StepFailure.self) {
      try await bench.build("FROM base\nRUN echo before; echo problem >&2; exit 3\n")
    }
    let step = try #require(failure)
    #expect(step.exitCode == 3)
    #expect(step.message.hasSuffix("did not complete successfully: exit code: 3"))
    #expect(Set(step.logTail) == ["before", "problem"])
    #expect(step.title == "[2/2] RUN echo before; echo problem >&2; exit 3")
    let log = try #require(step.logPath)
    #expect(try HostPath.read(log).count == "before\nproblem\n".utf8.count)
    #expect(try bench.temporaries() == [])
  }

  @Test func missingProgramNamesIt() async throws {
    let bench = try await Bench()
    let failure = await #expect(throws: Failure.self) { try await bench.build("FROM base\nRUN [\"nothing\"]\n") }
    #expect(failure?.description.contains("nothing") == true)
    #expect(failure?.diagnostics.isEmpty == false)
    #expect(failure?.exitCode == 1)
  }

  @Test func missingBaseAndMissingContextAreToldApart() async throws {
    let bench = try await Bench()
    let missing = await #expect(throws: Failure.self) { try await bench.build("FROM nowhere\n") }
    #expect(missing?.description.contains("nowhere") == true)
    var request = bench.request("FROM base\nRUN true\n")
    request.context = bench.path + "/not-there"
    let context = await #expect(throws: Failure.self) { _ = try await bench.engine.build(request) { _ in } }
    #expect(context?.reason == "no such directory")
  }

  @Test func cancelledBuildStopsItsStepsAndLeavesNothing() async throws {
    let bench = try await Bench()
    let events = Events()
    let engine = bench.engine
    let request = bench.request("FROM base\nRUN echo begun; sleep 1000; touch /late\n", tags: ["late"])
    let build = Task { try await engine.build(request) { events.take($0) } }
    for _ in 0..<500 where !events.output.contains("begun") { try await Task.sleep(for: .milliseconds(10)) }
    #expect(events.output.contains("begun"))
    let began = ContinuousClock.now
    build.cancel()
    await #expect(throws: CancellationError.self) { _ = try await build.value }
    #expect(ContinuousClock.now - began < .seconds(2))
    #expect(try bench.temporaries() == [])
    #expect(try await bench.engine.images(all: true).map(\.repository) == ["base"])
    #expect(try await bench.engine.checkStore(repair: false) == [])
  }

  @Test func deepDirectoriesArePackedAndRemoved() async throws {
    let bench = try await Bench()
    let deep = "i=0; while test $i -lt 110; do mkdir -p a/a/a/a/a/a/a/a/a/a; cd a/a/a/a/a/a/a/a/a/a; i=$((i+1)); done"
    try await bench.build("FROM base\nRUN cd /tmp; \(deep)\n", tags: ["deep"])
    #expect(try bench.temporaries() == [])
    _ = try await bench.engine.removeImage("deep", force: false, noPrune: false)
    _ = try await bench.engine.pruneBuildCache(all: true, filters: [])
    #expect(try await bench.engine.checkStore(repair: false) == [])
  }
}
