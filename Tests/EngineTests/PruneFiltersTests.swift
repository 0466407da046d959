import Core
import Linux
import Store
import Testing
@testable import Engine

@Suite struct PruneFiltersTests {
  private func until(_ value: String) throws -> Timestamp? {
    try PruneFilters([("until", value)], command: "image prune", allowing: ["until", "label", "label!"]).until
  }

  @Test func readsAgesAndTimes() throws {
    let now = Machine.now().seconds
    let age = now - (try #require(try until("1h30m10s")).seconds)
    #expect((5409...5411).contains(age))
    #expect(try until("2024-01-02T03:04:05Z") == Timestamp(rfc3339: "2024-01-02T03:04:05Z"))
    #expect(try until("1700000000") == Timestamp(seconds: 1_700_000_000))
    #expect(try PruneFilters([], command: "image prune", allowing: ["until", "label", "label!"]).until == nil)
  }

  @Test(
    "what is no age is refused",
    arguments: ["", "h", "1x", "10m5", "-", String(repeating: "999999999999h", count: 4000)])
  func refusesOthers(text: String) {
    #expect(throws: Failure.self) { try until(text) }
  }

  @Test func readsLabels() throws {
    let filters = try PruneFilters(
      [("label", "a"), ("label!", "b=c"), ("label", "d=e=f")], command: "image prune",
      allowing: ["until", "label", "label!"])
    #expect(filters.labels.wanted == ["a", "d=e=f"])
    #expect(filters.labels.unwanted == ["b=c"])
    #expect(filters.until == nil)
  }

  @Test func refusesOtherFiltersAndTwoOfOne() {
    #expect(throws: Failure.self) {
      try PruneFilters([("dangling", "true")], command: "image prune", allowing: ["until", "label", "label!"])
    }
    #expect(throws: Failure.self) {
      try PruneFilters(
        [("until", "1h"), ("until", "2h")], command: "image prune", allowing: ["until", "label", "label!"])
    }
  }
}
