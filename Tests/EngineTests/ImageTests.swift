import Core
import Foundation
import Linux
import Testing
@testable import Engine

@Suite(.serialized, .enabled(if: Bench.isUsable)) struct ImageTests {
  @Test func tagsComeAndGoAndTheLastTakesTheImage() async throws {
    let bench = try await Bench()
    let engine = bench.engine
    try await engine.tag("base", as: "other:1")
    #expect(
      try await engine.images(all: false).map { "\($0.repository ?? ""):\($0.tag ?? "")" } == [
        "base:latest", "other:1",
      ])
    #expect(try await engine.removeImage("base", force: false, noPrune: false).untagged == ["base:latest"])
    let id = try #require(try await engine.images(all: false).first?.id)
    let removed = try await engine.removeImage("other:1", force: false, noPrune: false)
    #expect(removed.untagged == ["other:1"])
    #expect(removed.deleted.first == id)
    #expect(try await engine.images(all: true).isEmpty)
    let missing = await #expect(throws: Failure.self) {
      _ = try await engine.removeImage("other:1", force: true, noPrune: false)
    }
    #expect(missing?.reason.hasPrefix("no such image: other:1") == true)
  }

  @Test func historyIsNewestFirst() async throws {
    let bench = try await Bench()
    let built = try await bench.build("FROM base\nRUN echo x > /x\nENV A=b\n", tags: ["two"])
    let rows = try await bench.engine.imageHistory("two")
    #expect(rows.count == 3)
    #expect(rows.map { $0.id != nil } == [true, false, false])
    #expect(rows[0].id == built.imageID)
    #expect(rows[0].size == 0)
    #expect(rows[1].size > 0)
  }

  @Test func pruneTakesOnlyWhatHasNoName() async throws {
    let bench = try await Bench()
    try await bench.build("FROM base\nENV A=1\n", tags: ["named"])
    let dangling = try await bench.build("FROM base\nENV A=2\n")
    let pruned = try await bench.engine.pruneImages(all: false, filters: []).images
    #expect(pruned.deleted.contains(dangling.imageID))
    #expect(try await bench.engine.images(all: true).compactMap(\.repository).sorted() == ["base", "named"])
    let young = try await bench.engine.pruneImages(all: true, filters: [("until", "24h")]).images
    #expect(young.deleted.isEmpty)
  }

  @Test func cancelledImportAndSaveLeaveNothing() async throws {
    let bench = try await Bench()
    let (engine, path) = (bench.engine, bench.path)
    let work = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      await #expect(throws: CancellationError.self) {
        _ = try await engine.importImage(.path(path + "/root.tar"), reference: "late", message: nil, changes: [])
      }
      await #expect(throws: CancellationError.self) {
        try await engine.save(["base"], to: .path(path + "/saved.tar"), format: .ociArchive, compression: nil)
      }
    }
    await work.value
    #expect(try HostPath.status(path + "/saved.tar") == nil)
    #expect(try await engine.images(all: true).compactMap(\.repository) == ["base"])
    #expect(try bench.temporaries() == [])
  }
}
