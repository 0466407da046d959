import Core
import Testing

@testable import Graph

/// What is left to do of executed vertices, and builds that share their results.
@Suite(.timeLimit(.minutes(1))) struct SolverRestTests {
  @Test func nothingWaitsForTheRest() async throws {
    let numbers = Numbers(slow: ["1"])
    let build = Task { try await numbers.solve(Chain().image("5").add("1").add("2").add("3")) }
    try await numbers.wait { $0.events.contains("settling") }
    #expect(numbers.executed == ["5", "1", "2", "3"])
    #expect(numbers.settled == ["5"])
    numbers.open("1")
    #expect(try await build.value == 11)
    #expect(Set(numbers.settled) == ["5", "1", "2", "3"])
    #expect(numbers.events.filter { $0 == "settling" }.count == 1)
  }

  @Test func bothKeysAreThoseOfAStepOnAKnownBase() async throws {
    // The content key of 100 comes late in the first build, and is looked up in the second.
    let numbers = Numbers(slow: ["2"])
    let build = Task { try await numbers.solve(Chain().image("1").add("2").add("100")) }
    try await numbers.wait { $0.events.contains("settling") }
    numbers.open("2")
    _ = try await build.value
    numbers.forget()
    #expect(try await numbers.solve(Chain().image("1").add("2").add("100")) == 103)
    #expect(numbers.executed == [])
    #expect(numbers.lookups == 1)
    numbers.forget()
    #expect(try await numbers.solve(Chain().image("2").add("1").add("100")) == 103)
    #expect(numbers.executed == ["2", "1"])
  }

  @Test func aVertexOnAPendingBaseIsNotLookedUpByContent() async throws {
    let numbers = Numbers(slow: ["1"])
    _ = try await Numbers(shelf: numbers.shelf).solve(Chain().image("1").add("2").add("100"))
    let build = Task { try await numbers.solve(Chain().image("2").add("1").add("100")) }
    try await numbers.wait { $0.events.contains("settling") }
    #expect(numbers.executed == ["2", "1", "100"])
    numbers.open("1")
    #expect(try await build.value == 103)
  }

  @Test func aVertexThatIsUsedTwiceIsExecutedOnceOnAPendingBase() async throws {
    let numbers = Numbers(slow: ["1"])
    var chain = Chain().image("0").add("1").add("10")
    let shared = chain.top
    chain = chain.add("2")
    let left = chain.top
    chain.top = shared
    chain = chain.add("3").sum([left, chain.add("3").top])
    let (all, build) = (chain, Task { [chain] in try await numbers.solve(chain, parallelism: 4) })
    try await numbers.wait { $0.events.contains("settling") }
    numbers.open("1")
    #expect(try await build.value == 13 + 14)
    #expect(numbers.executed.sorted() == all.vertices.map(\.title).sorted())
  }

  @Test func aRestThatFailsEndsTheBuild() async throws {
    let numbers = Numbers(broken: ["1"])
    await #expect(throws: Failure("pack 1", "broken")) {
      try await numbers.solve(Chain().image("0").add("1").add("forever"))
    }
    #expect(numbers.events.contains("failed 1"))
    #expect(numbers.settled == ["0"])
    #expect(numbers.shelf.claims == 0)
  }

  @Test func aRestThatFailsAtTheEndEndsTheBuild() async throws {
    let numbers = Numbers(slow: ["2"], broken: ["2"])
    let build = Task { try await numbers.solve(Chain().image("0").add("1").add("2")) }
    try await numbers.wait { $0.events.contains("settling") }
    numbers.open("2")
    await #expect(throws: Failure("pack 2", "broken")) { try await build.value }
    #expect(numbers.events.last == "failed 2")
    #expect(numbers.settled == ["0", "1"])
  }

  @Test func whatWasExecutedBeforeAFailureIsStored() async throws {
    let numbers = Numbers(slow: ["1"])
    let chain = Chain().image("0").add("1").add("2").add("bad")
    let build = Task { try await numbers.solve(chain) }
    try await numbers.wait { $0.events.contains("failed bad") }
    numbers.open("1")
    await #expect(throws: Failure("add bad", "no number")) { try await build.value }
    #expect(Set(numbers.settled) == ["0", "1", "2"])
    numbers.forget()
    await #expect(throws: Failure.self) { try await numbers.solve(chain) }
    #expect(numbers.executed == ["bad"])
  }

  @Test func cancellationEndsTheRestsToo() async throws {
    let numbers = Numbers(slow: ["1"])
    let build = Task { try await numbers.solve(Chain().image("0").add("1").add("2")) }
    try await numbers.wait { $0.events.contains("settling") }
    build.cancel()
    await #expect(throws: CancellationError.self) { try await build.value }
    #expect(numbers.settled == ["0"])
    #expect(numbers.shelf.claims == 0)
  }

  @Test func cancellationAfterAFailureEndsTheRestsToo() async throws {
    let numbers = Numbers(slow: ["1"])
    let build = Task { try await numbers.solve(Chain().image("0").add("1").add("bad")) }
    try await numbers.wait { $0.events.contains("failed bad") }
    build.cancel()
    await #expect(throws: Failure("add bad", "no number")) { try await build.value }
    #expect(numbers.settled == ["0"])
  }

  @Test func oneOfManyBuildsExecutesAStep() async throws {
    let shelf = Shelf()
    let builds = (0..<16).map { _ in Numbers(delay: .milliseconds(3), slow: ["2"], shelf: shelf) }
    for build in builds { build.open("2") }
    let chain = Chain().image("0").add("1").add("2").add("3").add("4")
    try await withThrowingTaskGroup(of: Int.self) { group in
      for build in builds { group.addTask { try await build.solve(chain) } }
      for try await sum in group { #expect(sum == 10) }
    }
    for title in ["1", "2", "3", "4"] {
      #expect(builds.flatMap(\.executed).filter { $0 == title }.count == 1, "\(title)")
    }
    #expect(shelf.claims == 0)
  }

  @Test func aBuildWaitsUntilTheStepIsStored() async throws {
    let shelf = Shelf()
    let (first, second) = (Numbers(slow: ["1"], shelf: shelf), Numbers(shelf: shelf))
    let chain = Chain().image("0").add("1")
    let one = Task { try await first.solve(chain) }
    try await first.wait { $0.events.contains("settling") }
    let other = Task { try await second.solve(chain) }
    try await second.wait { $0.events.contains("waiting 1") }
    first.open("1")
    #expect(try await one.value == 1)
    #expect(try await other.value == 1)
    #expect(second.events == ["started 0", "finished 0", "waiting 1", "cached 1"])
  }

  @Test func aBuildExecutesTheStepThatAnotherCouldNot() async throws {
    let shelf = Shelf()
    let (first, second) = (Numbers(shelf: shelf), Numbers(slow: ["1"], shelf: shelf))
    let chain = Chain().image("0").add("forever")
    let one = Task { try await first.solve(chain) }
    try await first.wait { $0.events.contains("started forever") }
    let other = Task { try await second.solve(chain) }
    try await second.wait { $0.events.contains("waiting forever") }
    one.cancel()
    await #expect(throws: CancellationError.self) { try await one.value }
    try await second.wait { $0.events.contains("started forever") }
    other.cancel()
    await #expect(throws: CancellationError.self) { try await other.value }
    #expect(second.events.last == "cancelled forever")
    #expect(shelf.claims == 0)
  }

  @Test func aWaitingStepTakesNoTurn() async throws {
    // One turn, and yet the branch that nobody else is at goes on.
    let shelf = Shelf()
    let (first, second) = (Numbers(shelf: shelf), Numbers(shelf: shelf))
    var chain = Chain().image("0")
    let base = chain.top
    chain = chain.add("forever")
    let one = Task { [chain] in try await first.solve(chain) }
    try await first.wait { $0.events.contains("started forever") }
    let slow = chain.top
    chain.top = base
    chain = chain.add("7")
    chain = chain.sum([slow, chain.top])
    let other = Task { [chain] in try await second.solve(chain) }
    try await second.wait { $0.events.contains("finished 7") }
    other.cancel()
    await #expect(throws: CancellationError.self) { try await other.value }
    #expect(second.events.last == "cancelled forever")
    one.cancel()
    _ = try? await one.value
  }

  @Test func aStepThatIgnoresTheCacheWaitsForNobody() async throws {
    let shelf = Shelf()
    let (first, second) = (Numbers(slow: ["1"], shelf: shelf), Numbers(shelf: shelf))
    let one = Task { try await first.solve(Chain().image("0").add("1")) }
    try await first.wait { $0.events.contains("settling") }
    #expect(try await second.solve(Chain(noCache: true).image("0").add("1")) == 1)
    #expect(second.executed == ["0", "1"])
    first.open("1")
    _ = try await one.value
  }
}
