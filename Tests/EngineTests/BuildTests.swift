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
