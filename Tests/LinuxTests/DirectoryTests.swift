import Core
import Linux
import Testing

/// Runs `body` with an empty directory that is removed afterwards.
private func withTemporaryDirectory(_ body: (Directory, String) throws -> Void) throws {
  let path = try HostPath.makeTemporaryDirectory("/var/tmp/stave-linux-tests.")
  defer { try? HostPath.removeTree(path) }
  try body(try Directory(path), path)
}

@Suite struct DirectoryTests {
  @Test func pathsCannotLeaveTheDirectory() throws {
    try withTemporaryDirectory { directory, path in
      try directory.makeSymlink(TreePath(clamping: "out"), target: Array("../../../../etc".utf8))
      try directory.makeSymlink(TreePath(clamping: "abs"), target: Array("/etc".utf8))
      for link in ["out/passwd", "abs/passwd"] {
        #expect(throws: SystemError.self) { try directory.open(TreePath(clamping: link), followLast: true) }
      }
      try directory.makeDirectory(TreePath(clamping: "etc"))
      _ = try directory.create(TreePath(clamping: "abs/here"))
      #expect(try HostPath.status(path + "/etc/here") != nil)
    }
  }

  @Test func namesThatAreNotUTF8AreKept() throws {
    try withTemporaryDirectory { directory, _ in
      let name: [UInt8] = [0x66, 0xFF, 0xFE]
      _ = try directory.create(TreePath.root.child(name))
      #expect(try directory.entries() == [name])
      #expect(try directory.status(TreePath.root.child(name))?.kind == .regular)
    }
  }

  @Test func treesAreRemovedWithoutFollowingLinks() throws {
    try withTemporaryDirectory { directory, path in
      try HostPath.makeDirectories(path + "/a/b/c")
      try HostPath.makeDirectories(path + "/keep")
      _ = try OpenFile(path + "/keep/file", .create)
      try directory.makeSymlink(TreePath(clamping: "a/link"), target: Array("../keep".utf8))
      try directory.removeTree(TreePath(clamping: "a"))
      #expect(try HostPath.status(path + "/a") == nil)
      #expect(try HostPath.status(path + "/keep/file") != nil)
      try directory.removeTree(TreePath(clamping: "a"))
    }
  }

  @Test func errorsNameTheCallAndThePath() {
    #expect(throws: SystemError(.noEntry, "open /no/such")) { try OpenFile("/no/such") }
    #expect(SystemError(.noEntry, "open /x").description == "open /x: no such file or directory")
  }

  @Test func wholeFilesAreReplaced() throws {
    try withTemporaryDirectory { directory, path in
      try HostPath.write([1, 2], to: path + "/f")
      try HostPath.write([3], to: path + "/f")
      #expect(try HostPath.read(path + "/f") == [3])
      #expect(try directory.entries().count == 1)
      #expect(throws: Failure.self) { try OpenFile(path + "/f").readAll(limit: 0) }
    }
  }

  @Test func blockingWorkRunsBesideTheCooperativePool() async throws {
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for i in 0..<40 {
        group.addTask {
          try await BlockingPool.shared.run {
            _ = try Poll.readable([], milliseconds: 20)
            return i
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(sum == 780)
  }

  @Test func treesDeeperThanTheDescriptorsHeldAreRemoved() throws {
    try withTemporaryDirectory { directory, path in
      let way = [String](repeating: "a", count: 300).joined(separator: "/")
      try HostPath.makeDirectories("\(path)/deep/\(way)")
      try HostPath.makeDirectories("\(path)/deep/a/b/\(way)")
      _ = try OpenFile("\(path)/deep/\(way)/file", .create)
      try directory.removeTree(TreePath(clamping: "deep"))
      #expect(try directory.entries().isEmpty)
    }
  }

  @Test func threadsReplaceOneFileWhole() async throws {
    let path = try HostPath.makeTemporaryDirectory("/var/tmp/stave-linux-tests.")
    defer { try? HostPath.removeTree(path) }
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<16 {
        group.addTask {
          await BlockingPool.shared.run {
            let bytes = [UInt8](repeating: UInt8(number), count: 10_000)
            #expect(throws: Never.self) { try HostPath.write(bytes, to: path + "/file") }
          }
        }
      }
    }
    let bytes = try HostPath.read(path + "/file")
    #expect(bytes.count == 10_000 && Set(bytes).count == 1)
    #expect(try Directory(path).entries().count == 1)
  }

  @Test func failedWriteNamesTheFile() {
    let error = #expect(throws: SystemError.self) { try HostPath.write([], to: "/nowhere/file") }
    #expect(error?.description == "write /nowhere/file: no such file or directory")
  }
}
