import Core
import Testing

@testable import Graph

@Suite struct SolverTests {
  @Test func aChainIsExecutedOnceAndThenCached() async throws {
    let numbers = Numbers()
    let chain = Chain().image("5").add("1").add("2")
    #expect(try await numbers.solve(chain) == 8)
    #expect(numbers.executed == ["5", "1", "2"])
    numbers.forget()
    #expect(try await numbers.solve(chain) == 8)
    #expect(numbers.executed == [])
    #expect(numbers.lookups == 1)
    #expect(numbers.events == ["cached 5", "cached 1", "cached 2"])
  }

  @Test func independentBranchesRunTogether() async throws {
    let numbers = Numbers(delay: .milliseconds(40))
    var chain = Chain().image("0")
    let base = chain.top
    var tops: [VertexID] = []
    for number in 1...4 {
      chain.top = base
      chain = chain.add(String(number))
      tops.append(chain.top)
    }
    chain = chain.sum(tops)
    #expect(try await numbers.solve(chain, parallelism: 4) == 10)
    #expect(numbers.mostAtOnce == 4)
    let narrow = Numbers(delay: .milliseconds(5))
    #expect(try await narrow.solve(chain, parallelism: 2) == 10)
    #expect(narrow.mostAtOnce == 2)
  }

  @Test func aDiamondExecutesItsTopOnce() async throws {
    let numbers = Numbers()
    var chain = Chain().image("1").add("10")
    let top = chain.top
    let left = chain.add("2").top
    chain = chain.add("2")
    chain.top = top
    chain = chain.add("3").sum([left, chain.add("3").top])
    #expect(try await numbers.solve(chain) == 13 + 14)
    #expect(numbers.executed.filter { $0 == "10" }.count == 1)
  }

  @Test func severalTargetsShareWhatTheyCan() async throws {
    let numbers = Numbers()
    let shared = Chain().image("5").add("1")
    let left = shared.add("2")
    var both = left
    both.top = shared.top
    both = both.add("3")
    let solver = Solver(numbers, parallelism: 2)
    // The second target is an input of the others.
    let sums = try await solver.solve(both.vertices, targets: [left.top, shared.top, both.top])
    #expect(sums.map(\.value) == [8, 6, 9])
    #expect(numbers.executed.sorted() == ["1", "2", "3", "5"])
    numbers.forget()
    #expect(try await solver.solve(both.vertices, targets: [both.top, left.top]).map(\.value) == [9, 8])
    #expect(numbers.executed == [])
  }

  @Test func equalContentIsExecutedOnce() async throws {
    // 1+2 and 2+1 are different definitions of the same base, so the step on top has one content key.
    let numbers = Numbers(delay: .milliseconds(10))
    var chain = Chain().image("1").add("2").add("100")
    let first = chain.top
    chain = chain.image("2").add("1").add("100")
    chain = chain.sum([first, chain.top])
    #expect(try await numbers.solve(chain, parallelism: 4) == 206)
    #expect(numbers.executed.filter { $0 == "100" }.count == 1)
    #expect(numbers.events.filter { $0 == "cached 100" }.count == 1)
  }

  @Test func aContentHitMakesAnAlias() async throws {
    let numbers = Numbers()
    _ = try await numbers.solve(Chain().image("1").add("2").add("100"))
    numbers.forget()
    let other = Chain().image("2").add("1").add("100")
    #expect(try await numbers.solve(other) == 103)
    #expect(numbers.executed == ["2", "1"])
    numbers.forget()
    #expect(try await numbers.solve(other) == 103)
    #expect(numbers.executed == [])
    #expect(numbers.lookups == 1)
  }

  @Test func onlyTheSelectedContentOfASourceCounts() async throws {
    // A copy selects the parity of its source.
    let numbers = Numbers()
    func plan(_ source: String) -> Chain {
      var chain = Chain().image(source)
      let from = chain.top
      chain = chain.image("7")
      return chain.parity(of: from)
    }
    #expect(try await numbers.solve(plan("3")) == 8)
    numbers.forget()
    #expect(try await numbers.solve(plan("5")) == 8)
    #expect(numbers.executed == ["5", "7"])
    numbers.forget()
    #expect(try await numbers.solve(plan("4")) == 7)
    #expect(numbers.executed.contains("parity"))
  }

  @Test func aChangedContextFileMisses() async throws {
    let numbers = Numbers()
    let chain = Chain().image("1").copy("a").add("1")
    numbers.files = ["a": 10]
    #expect(try await numbers.solve(chain) == 12)
    numbers.forget()
    numbers.files = ["a": 20]
    #expect(try await numbers.solve(chain) == 22)
    #expect(numbers.executed == ["1", "copy a", "1"])
  }

  @Test func aMissingContextFileFailsBeforeAnythingRuns() async throws {
    let numbers = Numbers()
    let chain = Chain().image("1").add("1").copy("b").copy("c")
    await #expect(throws: Failure("copy b", "not found")) { try await numbers.solve(chain) }
    #expect(numbers.executed == [])
    #expect(numbers.events == ["failed copy b"])
  }

  @Test func noCacheExecutesAgain() async throws {
    let numbers = Numbers()
    _ = try await numbers.solve(Chain().image("1").add("2"))
    numbers.forget()
    #expect(try await numbers.solve(Chain(noCache: true).image("1").add("2")) == 3)
    #expect(numbers.executed == ["1", "2"])
  }

  @Test(.timeLimit(.minutes(1))) func aFailureCancelsTheOthers() async throws {
    let numbers = Numbers()
    var chain = Chain().image("0").add("forever")
    let slow = chain.top
    chain = chain.image("0").add("bad")
    chain = chain.sum([slow, chain.top])
    await #expect(throws: Failure("add bad", "no number")) { try await numbers.solve(chain, parallelism: 4) }
    #expect(numbers.events.contains("failed bad"))
    #expect(numbers.events.contains("cancelled forever"))
    #expect(!numbers.executed.contains("sum"))
  }

  @Test(.timeLimit(.minutes(1))) func cancellationEndsRunningSteps() async throws {
    let numbers = Numbers()
    let task = Task { try await numbers.solve(Chain().image("0").add("forever").add("1")) }
    while !numbers.executed.contains("forever") { try await Task.sleep(for: .milliseconds(1)) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(numbers.events.last == "cancelled forever")
    #expect(numbers.ended == 2)
  }

  @Test func aCancelledTaskStartsNothing() async throws {
    let numbers = Numbers()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await numbers.solve(Chain().image("0").add("1"))
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(numbers.executed == [])
  }

  @Test(.timeLimit(.minutes(1))) func manyVerticesAreSolved() async throws {
    let numbers = Numbers()
    var chain = Chain().image("0")
    for _ in 0..<2000 { chain = chain.add("1") }
    #expect(try await numbers.solve(chain) == 2000)
    numbers.forget()
    #expect(try await numbers.solve(chain) == 2000)
    #expect(numbers.lookups == 1)
    #expect(try await numbers.solve(Chain(noCache: true, of: chain)) == 2000)
  }

  @Test func aVertexWithoutItsInputIsRefused() async throws {
    let vertex = Chain().image("1").add("2").vertices[1]
    await #expect(throws: Failure.self) {
      _ = try await Solver(Numbers(), parallelism: 1).solve([vertex], target: vertex.id)
    }
  }
}
