internal import Linux
internal import Testing

@Suite struct BlockingPoolTests {
  @Test func aBlockedCallGivesItsPlaceToAnother() async throws {
    let pool = BlockingPool(limit: 4, width: 1)
    let pipe = try OpenFile.pipe()
    let reader = pipe.read
    async let received: Int = pool.run {
      var byte: UInt8 = 0
      return try withUnsafeMutableBytes(of: &byte) { try reader.read(into: $0) }
    }
    // The only place is the reader's until it blocks.
    try await pool.run { try pipe.write.write([1]) }
    #expect(try await received == 1)
  }

  @Test func runOnThePoolsOwnThreadNeedsNoOther() async throws {
    let pool = BlockingPool(limit: 1, width: 1)
    let sum = await Task(executorPreference: pool) {
      await withTaskGroup(of: Int.self) { group in
        for number in 1...100 {
          group.addTask { await pool.run { number } }
        }
        return await group.reduce(0, +)
      }
    }.value
    #expect(sum == 5050)
  }

  @Test func moreBlockedCallsThanPlacesAllProceed() async throws {
    let pool = BlockingPool(limit: 16, width: 2)
    let pipes = try (0..<12).map { _ in try OpenFile.pipe() }
    let total = try await Task(executorPreference: pool) {
      try await withThrowingTaskGroup(of: Int.self) { group in
        for pipe in pipes {
          let input = pipe.read
          group.addTask {
            try await pool.run {
              var byte: UInt8 = 0
              _ = try withUnsafeMutableBytes(of: &byte) { try input.read(into: $0) }
              return Int(byte)
            }
          }
        }
        // Last first: no call can wait for another one's end.
        for (number, pipe) in pipes.enumerated().reversed() {
          let output = pipe.write
          group.addTask {
            try await pool.run { try output.write([UInt8(number)]) }
            return 0
          }
        }
        return try await group.reduce(0, +)
      }
    }.value
    #expect(total == 66)
  }
}
