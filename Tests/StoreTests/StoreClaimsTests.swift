import Core
import Linux
import Testing

@testable import Store

@Suite struct StoreClaimsTests {
  private let key = Digest.sha256("step")

  private func claims(_ store: Store) throws -> Int { try Directory(store.paths.steps).entries().count }

  @Test func oneHolderAtATime() throws {
    let scratch = try Scratch()
    let other = try scratch.another()
    var claim = try scratch.store.claimStep(key)
    #expect(claim != nil)
    #expect(try other.claimStep(key) == nil)
    #expect(try scratch.store.claimStep(key) == nil)
    #expect(try other.claimStep(.sha256("another")) != nil)
    claim = nil
    #expect(try other.claimStep(key) != nil)
    #expect(try claims(other) == 0)
  }

  @Test func manyThreadsNeverHoldItTogether() async throws {
    let scratch = try Scratch()
    let store = scratch.store
    let marker = scratch.path + "/marker"
    let taken = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          try await BlockingPool.shared.run {
            var taken = 0
            for _ in 0..<200 {
              guard let claim = try store.claimStep(key) else { continue }
              // Fails if another one is here.
              _ = try OpenFile(marker, .createNew)
              try HostPath.removeFile(marker)
              taken += 1
              withExtendedLifetime(claim) {}
            }
            return taken
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(taken > 0)
    #expect(try claims(store) == 0)
  }

  @Test func whatKilledBuildsLeaveIsInNobodysWayAndPruned() throws {
    let scratch = try Scratch()
    let store = scratch.store
    for key in [key, .sha256("dead")] { _ = try OpenFile(store.paths.claim(key), .create) }
    #expect(try store.claimStep(key) != nil)
    #expect(try claims(store) == 1)
    #expect(try store.check() == [])
    try store.prune(PrunePlan.Scope(buildCache: true))
    #expect(try claims(store) == 0)
  }

  @Test func claimsOfKilledBuildsGoWithTheirTemporaryDirectories() throws {
    let scratch = try Scratch()
    let held = try scratch.store.claimStep(key)
    _ = try OpenFile(scratch.store.paths.claim(.sha256("dead")), .create)
    _ = try scratch.another()
    #expect(try claims(scratch.store) == 2)
    try HostPath.makeDirectories(scratch.store.paths.temporary + "/4000000-dead")
    _ = try scratch.another()
    #expect(try claims(scratch.store) == 1)
    withExtendedLifetime(held) {}
  }
}
