import Linux
import Synchronization
import Testing

/// Jobs and results of several threads.
@Suite struct SharedWorkTests {
  private struct Stop: Error, Equatable { var number: Int }

  @Test(arguments: [1, 2, 8]) func resultsComeInOrder(width: Int) throws {
    var given = 0
    var taken: [Int] = []
    let most = Mutex(0)
    let held = Mutex(0)
    try OrderedWork.run(
      width: width, window: 3,
      next: {
        given += 1
        return given > 500 ? nil : given
      },
      work: { (number: Int) -> Int in
        let now = held.withLock { held in
          held += 1
          return held
        }
        most.withLock { $0 = max($0, now) }
        return number * number
      },
      take: { (square: Int) in
        held.withLock { $0 -= 1 }
        taken.append(square)
      })
    #expect(taken == (1...500).map { $0 * $0 })
    #expect(most.withLock { $0 } <= 3 + 2 * OrderedWork.mostThreads)
  }

  @Test func theFirstErrorInOrderIsThrown() throws {
    var given = 0
    var taken: [Int] = []
    #expect(throws: Stop(number: 7)) {
      try OrderedWork.run(
        width: 4, window: 4,
        next: {
          given += 1
          return given
        },
        work: { (number: Int) -> Int in
          if number >= 7 { throw Stop(number: number) }
          return number
        }, take: { (number: Int) in taken.append(number) })
    }
    #expect(taken == [1, 2, 3, 4, 5, 6])
  }

  @Test func anErrorOfTheGiverComesAfterTheJobsBeforeIt() throws {
    var given = 0
    var taken: [Int] = []
    #expect(throws: Stop(number: 4)) {
      try OrderedWork.run(
        width: 2, window: 4,
        next: { () throws -> Int? in
          given += 1
          if given == 4 { throw Stop(number: 4) }
          return given
        }, work: { (number: Int) -> Int in number }, take: { (number: Int) in taken.append(number) })
    }
    #expect(taken == [1, 2, 3])
  }

  @Test func anErrorOfTheTakerEndsTheWork() throws {
    var given = 0
    #expect(throws: Stop(number: 3)) {
      try OrderedWork.run(
        width: 4, window: 4,
        next: { () -> Int? in
          given += 1
          return given
        }, work: { (number: Int) -> Int in number },
        take: { (number: Int) in if number == 3 { throw Stop(number: number) } })
    }
    #expect(given < 100)
  }

  @Test(arguments: [1, 2, 8]) func jobsMakeJobs(width: Int) throws {
    let done = Mutex<[Int]>([])
    try JobStack<Int>.run([1], width: width) { number, thread, stack in
      #expect((0..<max(width, JobStack<Int>.mostThreads)).contains(thread))
      done.withLock { $0.append(number) }
      if number < 1000 { stack.push([2 * number, 2 * number + 1]) }
    }
    #expect(done.withLock { $0.sorted() } == Array(1..<2000))
  }

  @Test func anErrorEndsAllJobs() throws {
    let done = Mutex(0)
    #expect(throws: Stop(number: 50)) {
      try JobStack<Int>.run([0], width: 3) { number, _, stack in
        done.withLock { $0 += 1 }
        if number == 50 { throw Stop(number: 50) }
        stack.push([number + 1])
      }
    }
    #expect(done.withLock { $0 } == 51)
    try JobStack<Int>.run([], width: 3) { _, _, _ in }
  }

  @Test func aRelayKeepsTheOrder() {
    let seen = Mutex<[Int]>([])
    let relay = Relay<Int>(depth: 2) { number in seen.withLock { $0.append(number) } }
    for number in 0..<1000 { relay.send(number) }
    relay.finish()
    #expect(seen.withLock { $0 } == Array(0..<1000))
  }
}
