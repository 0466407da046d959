import Core
import Linux
import Testing

@testable import Store

@Test func lastWholeLineOfAContainerHolds() throws {
  let scratch = try Scratch()
  let path = try scratch.store.temporaryPath()
  let created = ContainerState.created
  let exited = ContainerState.exited(code: 3, started: nil, finished: Timestamp(seconds: 2))
  try HostPath.write(ContainerFile.lines(.object(["name": "a"]), created), to: path)
  let file = ContainerFile(path: path)
  #expect(ContainerFile.read(try HostPath.read(path)).state == created)
  try file.append(state: exited)
  try file.append(container: .object(["name": "b"]), durable: true)
  // A writer that was killed in the middle of its line.
  try OpenFile(path, .appendExisting).write("\n{\"state\":{\"status\":")
  #expect(ContainerFile.read(try HostPath.read(path)).state == exited)
  #expect(ContainerFile.read(try HostPath.read(path)).container == .object(["name": "b"]))
  try file.append(state: created)
  #expect(ContainerFile.read(try HostPath.read(path)).state == created)
  // A whole text without its end may be the beginning of a longer one.
  try OpenFile(path, .appendExisting).write(#"{"container":{"name":"c"}}"#)
  #expect(ContainerFile.read(try HostPath.read(path)).container == .object(["name": "b"]))
  #expect(ContainerFile.read(Array("{}\n".utf8)).container == nil)
  #expect(throws: (any Error).self) { try ContainerFile(path: path + "-missing").append(state: created) }
}

@Test func linkOfANameIsTheContainersID() {
  for id in [Store.makeContainerID(), String(repeating: "0", count: 64), String(repeating: "f", count: 64)] {
    let target = ContainerLink.target(id)
    #expect(target.utf8.count == 44)
    #expect(ContainerLink.id(target) == id)
  }
  for text in ["", "A", String(repeating: "A", count: 43), String(repeating: "A", count: 45), "/etc/passwd"] {
    #expect(ContainerLink.id(text) == nil)
  }
  // What is over at the end must be zero: one ID has one text.
  #expect(ContainerLink.id(String(repeating: "A", count: 43) + "B") == nil)
}

@Test func containerIsRemovedOnceByMany() async throws {
  let scratch = try Scratch()
  let root = scratch.store.root
  for _ in 0..<10 {
    let record = try scratch.container("one", nil)
    let removed = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 {
        group.addTask {
          await BlockingPool.shared.run { (try? Store.open(root: root).removeContainer(record.id)) != nil }
        }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(removed == 1)
    #expect(try HostPath.status(scratch.store.containerPath(record.id)) == nil)
  }
}
