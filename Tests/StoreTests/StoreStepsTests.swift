import Core
import Linux
import Testing

@testable import Store

@Test func stepIsAHitWhileItsLayerExists() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let log = try scratch.store.temporaryPath("log")
  try HostPath.write(Array("output".utf8), to: log)
  var record = StepRecord(
    key: .sha256("k"), definitionKey: .sha256("d"), preimage: Preimage(.object(["files": .strings(["a"])])),
    resultDiffID: layer.diffID, started: Timestamp(seconds: 7, nanoseconds: 5), durations: ["run": 3, "pack": 4],
    exitCode: 0, logPath: log, title: "RUN x")
  try scratch.store.putStep(record)
  let found = try #require(try scratch.another().step(forKey: record.key))
  let kept = try #require(found.logPath)
  #expect(try HostPath.read(kept) == Array("output".utf8))
  let preimage = record.preimage
  record.logPath = kept
  record.preimage = .null
  #expect(found == record)
  #expect(try scratch.store.preimage(ofStep: record.key)?.bytes == preimage.bytes)
  #expect(try scratch.store.alias(.sha256("d")) == record.key)
  #expect(try scratch.store.alias(.sha256("e")) == nil)
  #expect(try scratch.store.steps() == [record])
  try scratch.store.removeLayer(layer.diffID)
  #expect(try scratch.store.step(forKey: record.key) == nil)
  #expect(try scratch.store.stepRecord(record.key) != nil)
  try scratch.store.removeStep(record.key)
  #expect(try Directory(scratch.store.paths.steps).entries().isEmpty)
}

@Test func damagedRecordIsNone() throws {
  let scratch = try Scratch()
  let record = try scratch.step("RUN x", nil)
  try HostPath.write(Array("{".utf8), to: scratch.store.paths.step(record.key))
  #expect(try scratch.store.step(forKey: record.key) == nil)
  #expect(try scratch.store.check(repair: true).count == 1)
  #expect(try scratch.store.steps().isEmpty)
}

@Test func containerIsFoundByEverythingThatNamesIt() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let one = try scratch.container("one", nil)
  #expect(try store.container("one") == one)
  #expect(try store.container(one.shortID).name == "one")
  #expect(try store.container(one.id) == one)
  #expect(message { _ = try store.container("oen") } == "no such container: oen (did you mean one?)")
  #expect(message { _ = try scratch.container("one", nil) }.contains("is in use by container"))
  #expect(message { _ = try scratch.container("-bad", nil) }.contains("is allowed"))
  try store.renameContainer(one.id, to: "two")
  #expect(try store.container("two").id == one.id)
  _ = try scratch.container("one", nil)
  #expect(message { try store.renameContainer(one.id, to: "one") }.contains("in use"))
  #expect(try store.containers().count == 2)
  try store.removeContainer(one.id)
  #expect(message { try store.removeContainer(one.id) } == "no such container: \(one.shortID)")
  #expect(try !store.isNameTaken("two"))
  #expect(try HostPath.status(store.containerPath(one.id)) == nil)
}

@Test func deadContainerIsToldTruly() throws {
  let scratch = try Scratch()
  let record = try scratch.container("one", nil)
  let me = try #require(ProcessIdentity(pid: Machine.processID))
  #expect(me.isAlive)
  try scratch.store.setState(record.id, .running(process: me, started: Timestamp(seconds: 9)))
  #expect(try scratch.store.container("one").state == .running(process: me, started: Timestamp(seconds: 9)))
  var dead = me
  dead.startTicks += 1
  try scratch.store.setState(record.id, .running(process: dead, started: Timestamp(seconds: 9)))
  guard case .exited(255, Timestamp(seconds: 9), _, let error) = try scratch.store.container("one").state else {
    Issue.record("still running")
    return
  }
  #expect(!error.isEmpty)
  let end = ContainerState.exited(code: 3, started: Timestamp(seconds: 1), finished: Timestamp(seconds: 2))
  try scratch.store.setState(record.id, end)
  #expect(try scratch.store.container("one").state == end)
}

@Test func namesAreUniqueAmongProcesses() async throws {
  let scratch = try Scratch()
  let root = scratch.store.root
  let won = await withTaskGroup(of: Bool.self) { group in
    for _ in 0..<8 {
      group.addTask {
        let record = ContainerRecord(
          id: Store.makeContainerID(), name: "same", created: Timestamp(seconds: 1), image: nil, imageName: "")
        return await BlockingPool.shared.run {
          (try? Store.open(root: root).createContainer(record)) != nil
        }
      }
    }
    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
  }
  #expect(won == 1)
  #expect(try scratch.store.containers().count == 1)
}
