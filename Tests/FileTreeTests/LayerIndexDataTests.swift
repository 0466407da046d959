import Core
import FileTree
import Linux
import Testing

/// Where files' data are: holes, large files, several tars; and damage.
@Suite(.enabled(if: Machine.effectiveUserID == 0, "mounts: needs root")) struct LayerIndexDataTests {
  private func entry(_ path: String, size: Int64) -> TarEntry {
    TarEntry(path: TreePath(clamping: path), kind: .regular, mode: 0o644, size: size)
  }

  private func sparse(_ name: String, _ map: [Int], size: Int, _ data: [UInt8]) -> [UInt8] {
    let records = [
      ("GNU.sparse.size", "\(size)"), ("GNU.sparse.numblocks", "\(map.count / 2)"),
      ("GNU.sparse.map", map.map(String.init).joined(separator: ",")),
    ]
    return block("x", type: "x", data: pax(records)) + block(name, data: data)
  }

  @Test func alignedHolesAreChunks() throws {
    let data = [UInt8](repeating: 3, count: 4096) + [UInt8](repeating: 4, count: 5000)
    let bytes =
      sparse("aligned", [8192, 4096, 1_048_576, 5000], size: 1_053_576, data)
      + sparse("end-is-hole", [0, 512, 1_000_000, 0], size: 1_000_000, [UInt8](repeating: 5, count: 512))
      + sparse("all-hole", [5_000_000, 0], size: 5_000_000, []) + [UInt8](repeating: 0, count: 1024)
    try checkIndex(bytes)
    let tree = try indexTree(bytes)
    let id = try #require(tree.find(TreePath(clamping: "aligned")))
    #expect(tree.extents(id).map(\.offset) == [8192, 1_048_576])
  }

  @Test func otherHolesNeedATree() throws {
    for map in ["5,2,1000000,2", "0,600,1024,4"] {
      let length = map == "5,2,1000000,2" ? 4 : 604
      let bytes =
        block("x", type: "x", data: pax([("GNU.sparse.map", map), ("GNU.sparse.size", "2000000")]))
        + block("s", data: [UInt8](repeating: 1, count: length)) + [UInt8](repeating: 0, count: 1024)
      #expect(throws: LayerIndexBuilder.NeedsTree(reason: "the holes of /s are not aligned")) { try indexTree(bytes) }
    }
  }

  @Test(.enabled(if: which("tar") != nil), arguments: ["posix", "gnu", "posix --sparse-version=0.1"])
  func whatGNUTarPacksSparse(_ format: String) throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try run(
      [
        "/bin/sh", "-ec",
        """
        truncate -s 3000000 one; printf abc | dd of=one bs=1 seek=1000000 conv=notrunc status=none
        truncate -s 4000000 many; i=0
        while [ $i -lt 40 ]; do printf x | dd of=many bs=1 seek=$((i * 90000)) conv=notrunc status=none; i=$((i+1)); done
        truncate -s 500000 holes; touch -d @1000000000 one many holes .
        """,
      ], in: root)
    let bytes = try run(
      ["/usr/bin/tar"] + format.split(separator: " ").map { $0 == "posix" || $0 == "gnu" ? "--format=\($0)" : "\($0)" }
        + ["-S", "--sort=name", "-cf", "-", "."], in: root)
    try checkIndex(bytes)
  }

  @Test func filesOfMoreThanFourGigabytes() throws {
    // The tar is a sparse file: its header, 5 GB of nothing with a mark at the end, another member.
    let folder = try temporaryDirectory()
    defer { try? HostPath.removeTree(folder) }
    let size: Int64 = 5_000_000_007
    let tar = try OpenFile(folder + "/tar", .create)
    let head = TarEntry(path: TreePath(clamping: "large"), kind: .regular, mode: 0o600, size: size)
    var position: Int64 = 0
    let builder = LayerIndexBuilder()
    let writer = TarWriter(
      ClosureSink { piece in
        if position == 0 { try tar.write(UnsafeRawBufferPointer(rebasing: piece[..<min(piece.count, 8192)]), at: 0) }
        position += Int64(piece.count)
      })
    let data = try writer.begin(head)
    try builder.add(
      TarMember(entry: head, headerOffset: 0, dataOffset: data))
    let end = (data + size + 511) / 512 * 512
    let small = try archive([(entry("small", size: 5), Array("after".utf8))]).bytes
    try Array("mark".utf8).withUnsafeBytes { try tar.write($0, at: data + size - 4) }
    try small.withUnsafeBytes { try tar.write($0, at: end) }
    for (member, _) in try members(small) {
      try builder.add(
        TarMember(
          entry: member.entry, headerOffset: end + member.headerOffset, dataOffset: end + member.dataOffset))
    }
    let total = end + Int64(small.count)
    let index = try OpenFile(folder + "/index", .create)
    try ErofsWriter.write(try builder.finish(tarSize: total), devices: [total], into: index)
    let mount = try ErofsMount.open(index: folder + "/index", devices: [folder + "/tar"])
    let root = try Directory("/proc/self/fd/\(mount.descriptor)")
    let file = try root.open(TreePath(clamping: "large"))
    #expect(try file.status().size == size)
    var last = [UInt8](repeating: 0, count: 6)
    let count = try last.withUnsafeMutableBytes { try file.read(into: $0, at: size - 5) }
    #expect(count == 5 && last == [0] + Array("mark".utf8) + [0])
    #expect(try root.open(TreePath(clamping: "small")).readAll() == Array("after".utf8))
  }

  @Test func severalTarsInOneIndex() throws {
    var tree = IndexTree()
    var tars: [[UInt8]] = []
    for i in 0..<130 {
      let tar = try archive([(entry("f", size: 600), [UInt8](repeating: UInt8(i), count: 600))]).bytes
      let source = try indexTree(tar)
      let id = try #require(source.find(TreePath(clamping: "f")))
      let extents = source.extents(id).map { extent in
        IndexTree.Extent(offset: extent.offset, device: i, start: extent.start, length: extent.length)
      }
      let node = try tree.add(source.node(id), extents: extents)
      try tree.link(node, into: IndexTree.root, as: Array("file\(i)".utf8))
      tars.append(tar)
    }
    let files = try IndexFiles(tree, tars)
    let mount = try ErofsMount.open(index: files.index, devices: files.tars)
    let root = try Directory("/proc/self/fd/\(mount.descriptor)")
    for i in 0..<130 {
      #expect(try root.open(TreePath(clamping: "file\(i)")).readAll() == [UInt8](repeating: UInt8(i), count: 600))
    }
    try files.checkWithTools()
    #expect(throws: Failure.self) { try ErofsMount.open(index: files.index, devices: Array(files.tars.dropLast())) }
  }

  @Test func piecesOnSeveralTars() throws {
    var tree = IndexTree()
    let tars = (0..<3).map { [UInt8](repeating: UInt8($0 + 1), count: 4096) }
    let extents = [(0, 1, 512, 1024), (1024, 0, 0, 2048), (4096, 2, 1024, 700)].map {
      IndexTree.Extent(offset: Int64($0.0), device: $0.1, start: Int64($0.2), length: Int64($0.3))
    }
    let node = try tree.add(TreeNode(kind: .regular, mode: 0o644, size: 4796), extents: extents)
    try tree.link(node, into: IndexTree.root, as: Array("pieces".utf8))
    let files = try IndexFiles(tree, tars)
    let mount = try ErofsMount.open(index: files.index, devices: files.tars)
    let content = try Directory("/proc/self/fd/\(mount.descriptor)").open(TreePath(clamping: "pieces")).readAll()
    let runs = [(2, 1024), (1, 2048), (0, 1024), (3, 700)].flatMap { [UInt8](repeating: UInt8($0.0), count: $0.1) }
    #expect(content == runs)
  }

  @Test func tarsOfMoreThanATebibyteHaveChunks() throws {
    let folder = try temporaryDirectory()
    defer { try? HostPath.removeTree(folder) }
    let size: Int64 = 1_500_000_000_000
    let tar = try OpenFile(folder + "/tar", .create)
    try tar.truncate(to: size)
    try Array("end".utf8).withUnsafeBytes { try tar.write($0, at: size - 512) }
    var tree = IndexTree()
    for (name, start, length) in [("all", 0, size - 509), ("last", size - 512, 3)] {
      let extent = IndexTree.Extent(offset: 0, device: 0, start: start, length: length)
      let node = try tree.add(TreeNode(kind: .regular, mode: 0o644, size: length), extents: [extent])
      try tree.link(node, into: IndexTree.root, as: Array(name.utf8))
    }
    try ErofsWriter.write(tree, devices: [size], into: OpenFile(folder + "/index", .create))
    let mount = try ErofsMount.open(index: folder + "/index", devices: [folder + "/tar"])
    let root = try Directory("/proc/self/fd/\(mount.descriptor)")
    #expect(try root.open(TreePath(clamping: "last")).readAll() == Array("end".utf8))
    var end = [UInt8](repeating: 0, count: 10)
    let file = try root.open(TreePath(clamping: "all"))
    let count = try end.withUnsafeMutableBytes { try file.read(into: $0, at: size - 512) }
    #expect(count == 3 && end.starts(with: "end".utf8))
    let index = try LayerIndex(path: folder + "/index")
    let entry = try #require(try index.lookup(Array("all".utf8), in: index.root()))
    #expect(try index.extents(index.inode(entry.inode)).map(\.length) == [size - 509])
  }

  @Test func dataOutsideOfTheTarsAreRefused() throws {
    for (device, start, length) in [(1, 0, 512), (0, 512, 1024), (0, 1, 512), (0, -512, 512)] {
      var tree = IndexTree()
      let extent = IndexTree.Extent(offset: 0, device: device, start: Int64(start), length: Int64(length))
      let node = try tree.add(TreeNode(kind: .regular, mode: 0o644, size: Int64(length)), extents: [extent])
      try tree.link(node, into: IndexTree.root, as: [97])
      #expect(throws: Failure.self, "\(start)") { try ErofsWriter.write(tree, devices: [1024], into: MemorySink()) }
    }
  }

  @Test func damageIsFound() throws {
    let tar = try archive(sampleEntries).bytes
    let files = try IndexFiles(layer: tar)
    for at in stride(from: 0, to: files.bytes.count, by: 97) {
      var damaged = files.bytes
      damaged[at] ^= 0x10
      try HostPath.write(damaged, to: files.folder + "/damaged")
      #expect(throws: Failure.self, "\(at)") {
        try ErofsMount.verify(index: files.folder + "/damaged", devices: files.tars)
      }
    }
    for length in [0, 512, 2048, files.bytes.count - 512, files.bytes.count - 1] {
      try HostPath.write(Array(files.bytes[..<length]), to: files.folder + "/damaged")
      #expect(throws: Failure.self, "\(length)") {
        try ErofsMount.verify(index: files.folder + "/damaged", devices: files.tars)
      }
    }
    try HostPath.write(Array(tar.dropLast(512)), to: files.tars[0])
    #expect(throws: Failure.self) { try ErofsMount.open(index: files.index, devices: files.tars) }
  }

  @Test func bytesDependOnTheTarAlone() throws {
    let tar = try archive(sampleEntries).bytes
    let first = try IndexFiles(layer: tar).bytes
    let again = try IndexFiles(layer: tar).bytes
    let other = try IndexFiles(layer: archive(Array(sampleEntries.dropLast())).bytes).bytes
    #expect(first == again)
    // Each index has an identifier of its own.
    #expect(first[1072..<1088] != other[1072..<1088])
  }
}
