import Core
import Testing

@testable import Linux

@Test func treeSizeCountsFilesOnceAndWhatIsGoneNotAtAll() throws {
  let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-linux-test-")
  defer { try? HostPath.removeTree(folder) }
  try HostPath.makeDirectories(folder + "/a/b")
  try HostPath.write([UInt8](repeating: 1, count: 10_000), to: folder + "/a/b/file")
  try HostPath.link(folder + "/a/b/file", to: folder + "/a/again")
  _ = try HostPath.makeSymlink(folder + "/link", target: "a")
  let size = try TreeSize(of: folder)
  #expect(size.content == 10_000)
  #expect(size.allocated >= 10_000)
  #expect(size.allocated < 40_000)
  let inode = try #require(try HostPath.status(folder + "/a/again")).inode
  var rest = TreeSize(passingOver: [inode])
  try rest.add(folder)
  #expect(rest.content == 0)
  #expect(try TreeSize(of: folder + "/gone").allocated == 0)
  #expect(try TreeSize(of: folder + "/a/again").allocated == 0)
}

@Test func treeSizeOfATreeThatVanishesIsNoError() throws {
  let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-linux-test-")
  defer { try? HostPath.removeTree(folder) }
  ParallelLoop.run(2, width: 2) { side in
    for _ in 0..<50 {
      if side == 0 {
        for number in 0..<20 { try? HostPath.makeDirectories("\(folder)/tree/\(number)/below") }
        try? HostPath.removeTree(folder + "/tree")
      } else {
        #expect(throws: Never.self) { _ = try TreeSize(of: folder) }
      }
    }
  }
}
