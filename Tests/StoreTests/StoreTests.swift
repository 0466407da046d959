import Core
import FileTree
import Linux
import Testing

@testable import Store

@Test func storeIsAnOCILayout() throws {
  let scratch = try Scratch()
  let root = scratch.store.root
  #expect(try HostPath.read("\(root)/oci-layout") == Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
  _ = try ImageIndex(json: JSON.parse(HostPath.read("\(root)/index.json")))
  #expect(message { _ = try Store.open(root: root + "/none", create: false) }.contains("no such store"))
}

@Test func blobIsVerified() throws {
  let scratch = try Scratch()
  let store = scratch.store
  let writer = try store.blobWriter()
  try writer.write(Array("hello ".utf8))
  try writer.write(Array("world".utf8))
  let (digest, size) = try writer.finish(expected: .sha256("hello world"))
  #expect(size == 11)
  #expect(digest == .sha256("hello world"))
  #expect(try store.readSmallBlob(digest) == Array("hello world".utf8))
  #expect(try store.openBlob(digest).readAll() == Array("hello world".utf8))

  let other = try store.blobWriter()
  try other.write(Array("x".utf8))
  #expect(message { _ = try other.finish(expected: digest) }.contains("the content does not match"))
  #expect(try !store.hasBlob(.sha256("x")))
  try scratch.damage(digest)
  #expect(message { _ = try store.readSmallBlob(digest) }.contains("damaged"))
  #expect(message { _ = try store.openBlob(.sha256("none")) }.contains("does not have it"))
  let long = try Digest("sha512:" + String(repeating: "a", count: 128))
  #expect(message { _ = try store.hasBlob(long) }.contains("only sha256"))
}

@Test func layerBecomesATreeOnce() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("etc/name", "content")
  let again = try scratch.layer("etc/name", "content")
  #expect(layer == again)
  #expect(try scratch.store.layer(layer.diffID) == layer)
  let tar = try HostPath.status(scratch.store.tarPath(layer.diffID))
  #expect(tar?.linkCount == 2)
  #expect(try !scratch.store.hasTree(layer.diffID))
  let tree = try scratch.store.treePath(layer.diffID)
  #expect(try HostPath.read("\(tree)/etc/name") == Array("content".utf8))
  #expect(try scratch.another().treePath(layer.diffID) == tree)
}

@Test func treeIsMadeOnceByMany() async throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", String(repeating: "x", count: 1 << 20))
  let paths = try await withThrowingTaskGroup(of: String.self) { group in
    for _ in 0..<6 {
      let store = try scratch.another()
      group.addTask { try await BlockingPool.shared.run { try store.treePath(layer.diffID) } }
    }
    return try await group.reduce(into: Set<String>()) { $0.insert($1) }
  }
  #expect(paths.count == 1)
}

@Test func finishedUpperIsAdopted() throws {
  let scratch = try Scratch()
  let layer = try scratch.layer("a", "1")
  let upper = try scratch.store.makeTemporaryDirectory("upper")
  try HostPath.write(Array("1".utf8), to: upper + "/a")
  let tree = try #require(try scratch.store.adoptTree(layer.diffID, from: upper))
  #expect(try HostPath.read(tree + "/a") == Array("1".utf8))
  #expect(try HostPath.status(upper) == nil)
  let second = try scratch.store.makeTemporaryDirectory("upper")
  #expect(try scratch.store.adoptTree(layer.diffID, from: second) == nil)
  #expect(try HostPath.status(second) != nil)
}

@Test func emptyLayerIsMadeOnce() throws {
  let scratch = try Scratch()
  #expect(try scratch.store.emptyLayer() == Store.emptyDiffID)
  #expect(try scratch.store.emptyLayer() == Store.emptyDiffID)
  #expect(try scratch.store.layer(Store.emptyDiffID)?.size == 1024)
}

@Test func hardLinkLeadsIntoLowerLayer() throws {
  let scratch = try Scratch()
  let lower = try scratch.layer("bin/tool", "tool")
  let writer = try scratch.store.layerWriter()
  try writer.tar.begin(
    TarEntry(path: TreePath(clamping: "bin/other"), kind: .hardLink, mode: 0o644, linkTarget: Array("bin/tool".utf8)))
  let upper = try writer.commit()
  #expect(message { _ = try scratch.store.treePath(upper.diffID) } != "")
  #expect(try !scratch.store.hasTree(upper.diffID))
  let trees = try scratch.store.trees(of: [lower.diffID, upper.diffID, lower.diffID])
  #expect(trees.count == 2)
  #expect(try HostPath.read(trees[1] + "/bin/other") == Array("tool".utf8))
}

@Test func parentThatALayerLeavesOutKeepsItsMode() throws {
  let scratch = try Scratch()
  let writer = try scratch.store.layerWriter()
  try writer.tar.begin(
    TarEntry(
      path: TreePath(clamping: "tmp"), kind: .directory, mode: 0o1777, uid: 5, gid: 6, mtime: Timestamp(seconds: 77)))
  let lower = try writer.commit()
  let upper = try scratch.layer("tmp/deep/file", "1")
  let trees = try scratch.store.trees(of: [lower.diffID, upper.diffID])
  let status = try #require(try HostPath.status(trees[0] + "/tmp"))
  #expect(status.mode == 0o1777)
  #expect(status.uid == 5)
  #expect(status.mtime == Timestamp(seconds: 77))
  #expect(try HostPath.status(trees[0] + "/tmp/deep")?.mode == 0o755)
}

@Test func leftoversOfTheDeadAreRemoved() throws {
  let scratch = try Scratch()
  let mine = try scratch.store.makeTemporaryDirectory("work")
  let dead = scratch.store.root + "/tmp/99-dead"
  try HostPath.makeDirectories(dead + "/upper/deep")
  try HostPath.write([1], to: dead + "/upper/deep/file")
  try HostPath.write([1], to: scratch.store.root + "/tmp/stray")
  _ = try scratch.another()
  #expect(try HostPath.status(dead) == nil)
  #expect(try HostPath.status(mine) != nil)
  #expect(try scratch.temporaries.count == 1)
}

@Test func writerThatIsLetGoLeavesNothing() throws {
  let scratch = try Scratch()
  do {
    let blob = try scratch.store.blobWriter()
    try blob.write([1, 2, 3])
    let layer = try scratch.store.layerWriter()
    try layer.tar.begin(TarEntry(path: TreePath(clamping: "d"), kind: .directory, mode: 0o755))
  }
  let workspace = try #require(try scratch.temporaries.first)
  #expect(try Directory(scratch.store.root + "/tmp/" + workspace).entries().isEmpty)
}

@Test func ingestVerifiesWhatItTakes() throws {
  let scratch = try Scratch()
  let tar = MemorySink()
  let writer = TarWriter(tar)
  try writer.begin(TarEntry(path: TreePath(clamping: "f"), kind: .regular, mode: 0o644, size: 3))
  try writer.write([65, 66, 67])
  let (diffID, _) = try writer.finish()
  for compression in Compression.allCases {
    let packed = MemorySink()
    let compressor = try Compressor(compression, into: packed)
    try compressor.write(tar.bytes)
    try compressor.finish()
    let digest = Digest.sha256(packed.bytes)
    let (layer, blob) = try scratch.store.ingestLayer(
      MemorySource(packed.bytes), digest: digest, diffID: diffID, what: "read layer")
    #expect(layer.diffID == diffID)
    #expect(blob.digest == digest)
    if compression != .none {
      #expect(try scratch.store.layer(ofCompressed: digest)?.diffID == diffID)
      let cut = Array(packed.bytes.dropLast(9))
      #expect(message { _ = try scratch.store.ingestLayer(MemorySource(cut), what: "read layer") } != "")
    }
    let wrong = Digest.sha256("wrong")
    #expect(
      message { _ = try scratch.store.ingestLayer(MemorySource(packed.bytes), diffID: wrong, what: "read layer") }
        .contains("does not match"))
  }
  #expect(try scratch.store.compressedForms(of: diffID).count == 2)
  let noTar = Array(repeating: UInt8(7), count: 4096)
  let refusal = message { _ = try scratch.store.ingestLayer(MemorySource(noTar), what: "read layer x") }
  #expect(refusal.hasPrefix("read layer x: "))
  #expect(try !scratch.store.hasBlob(.sha256(noTar)))
}

@Test func equalLayersAreMadeAtTheSameTime() async throws {
  let scratch = try Scratch()
  let store = scratch.store
  for round in 0..<30 {
    let made = try await withThrowingTaskGroup(of: Digest.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await BlockingPool.shared.run {
            let writer = try store.layerWriter()
            try writer.tar.begin(TarEntry(path: TreePath(clamping: "dir-\(round)"), kind: .directory, mode: 0o755))
            return try writer.commit().diffID
          }
        }
      }
      var made: Set<Digest> = []
      for try await diffID in group { made.insert(diffID) }
      return made
    }
    #expect(made.count == 1)
    for diffID in made { #expect(try store.layer(diffID) != nil) }
  }
  #expect(try store.check(repair: false).isEmpty)
}
