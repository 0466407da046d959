import Core
import Foundation
import Linux
import Testing

@testable import Store

/// Lets the file refuse its removal (`+i`), or not (`-i`), as one does that belongs to another id of a user.
@discardableResult
private func chattr(_ flag: String, _ path: String) -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/chattr")
  process.arguments = [flag, path]
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}

private let canRefuse: Bool = {
  guard let folder = try? HostPath.makeTemporaryDirectory("/tmp/stave-store-test-") else { return false }
  defer { try? HostPath.removeTree(folder) }
  let can = chattr("+i", folder)
  chattr("-i", folder)
  return can
}()

@Suite(.enabled(if: canRefuse)) struct StoreObstacleTests {
  @Test func whatCantBeRemovedIsInNobodysWay() throws {
    let scratch = try Scratch()
    let stuck = scratch.store.root + "/tmp/98-stuck"
    try HostPath.makeDirectories(stuck)
    try HostPath.write([1], to: stuck + "/file")
    #expect(chattr("+i", stuck + "/file"))
    defer { chattr("-i", stuck + "/file") }
    try HostPath.makeDirectories(scratch.store.root + "/tmp/99-dead")
    let other = try scratch.another()
    #expect(try scratch.temporaries == ["98-stuck"])
    #expect(
      try other.check().map(\.description) == [
        "tmp/98-stuck: a killed command left it behind, and it can't be removed: operation not permitted"
      ])
  }

  @Test func collectionGoesOnPastWhatCantBeRemoved() throws {
    let scratch = try Scratch()
    let layers = try ["a", "b", "c"].map { try scratch.layer($0, "1") }.sorted { $0.diffID < $1.diffID }
    let first = scratch.store.paths.tree(layers[0].diffID)
    try HostPath.makeDirectories(first)
    try HostPath.write([1], to: first + "/file")
    #expect(chattr("+i", first + "/file"))
    let plan = try scratch.store.prune(PrunePlan.Scope())
    #expect(plan.layers.map(\.digest) == layers.map(\.diffID))
    #expect(plan.layers[0].size == 0)
    #expect(plan.layers[1].size > 0)
    #expect(try scratch.store.layerIDs().isEmpty)
    let left = try scratch.temporaries
    #expect(left.count == 1)
    for directory in left {
      let path = "\(scratch.store.paths.temporary)/\(directory)"
      for gone in try Directory(path).entries().map({ String(decoding: $0, as: UTF8.self) }) {
        chattr("-i", "\(path)/\(gone)/\(scratch.store.paths.treeName)/file")
        #expect(try HostPath.status("\(path)/\(gone)") != nil)
      }
    }
  }
}
