import Core
import FileTree
import Linux
import Synchronization
import Testing

/// Needs root: whiteouts and `trusted.` attributes are made.
@Suite(.enabled(if: Machine.effectiveUserID == 0)) struct PackTests {
  private func withTree(_ script: String, _ body: (Directory) throws -> Void) throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try run(["/bin/sh", "-ec", script], in: root)
    try body(try Directory(root))
  }

  private func pack(
    _ tree: Directory, exclude: [String] = [], latest: Timestamp? = nil
  ) throws -> (bytes: [UInt8], diffID: Digest) {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    try packUpper(tree, into: writer, exclude: Set(exclude.map { TreePath(clamping: $0) }), latest: latest)
    let diffID = try writer.finish().diffID
    return (sink.bytes, diffID)
  }

  @Test func anEmptyUpperIsAnEmptyArchive() throws {
    try withTree(":") { tree in
      let bytes = try pack(tree).bytes
      #expect(bytes == [UInt8](repeating: 0, count: 1024))
    }
  }

  @Test func membersAreSortedAndWhole() throws {
    try withTree(
      """
      umask 022; mkdir -p b/c; printf data > b/c/f; ln b/c/f b/z; ln -s q a; mkfifo b/p; mknod b/dev c 1 3
      mknod b/gone c 0 0; chown 12:34 b/c/f; chmod 4711 b/c/f; mkdir b.d; touch -d @1.5 b.d
      """
    ) { tree in
      try tree.setAttribute(TreePath(clamping: "b/c"), "trusted.overlay.opaque", [UInt8(ascii: "y")])
      try tree.setAttribute(TreePath(clamping: "b/c"), "trusted.overlay.origin", [1])
      let read = try members(try pack(tree).bytes)
      #expect(
        read.map(\.0.entry.path.text) == [
          "a", "b", "b/c", "b/c/.wh..wh..opq", "b/c/f", "b/dev", "b/.wh.gone", "b/p", "b/z", "b.d",
        ])
      #expect(
        read.map(\.0.entry.kind) == [
          .symlink, .directory, .directory, .regular, .regular, .characterDevice, .regular, .fifo, .hardLink,
          .directory,
        ])
      let file = read[4]
      #expect(file.0.entry.mode == 0o4711 && file.0.entry.uid == 12 && file.0.entry.gid == 34)
      #expect(file.1 == Array("data".utf8))
      #expect(read[2].0.entry.xattrs.isEmpty)
      #expect(read[8].0.entry.linkTarget == Array("b/c/f".utf8))
      #expect(read[9].0.entry.mtime == Timestamp(seconds: 1, nanoseconds: 500_000_000))
    }
  }

  @Test func copiesOfLowerFilesKeepTheirOwners() throws {
    try withTree("mkdir d; touch d/copied d/new d/unknown; chown 7:7 d/new") { tree in
      for name in ["d", "d/copied", "d/unknown"] {
        try tree.setAttribute(TreePath(clamping: name), "user.overlay.origin", [1])
      }
      let sink = MemorySink()
      let writer = TarWriter(sink)
      try packUpper(tree, into: writer) { path in
        switch path.text {
        case "d": (33, 44)
        case "d/unknown": nil
        default: (1, 2)
        }
      }
      _ = try writer.finish()
      let packed = try members(sink.bytes).map { "\($0.0.entry.path.text) \($0.0.entry.uid):\($0.0.entry.gid)" }
      #expect(packed == ["d 33:44", "d/copied 1:2", "d/new 7:7", "d/unknown 0:0"])
    }
  }

  @Test func allNamesOfACopiedFileHaveItsOwner() throws {
    try withTree(
      """
      mkdir m; touch m/mid plain; ln m/mid m/afirst; ln m/mid z; ln plain other
      head -c 600000 /dev/zero > m/large; ln m/large a-large
      """
    ) { tree in
      for name in ["m/mid", "m/large"] {
        try tree.setAttribute(TreePath(clamping: name), "user.overlay.origin", [1])
      }
      let sink = MemorySink()
      let writer = TarWriter(sink)
      try packUpper(tree, into: writer) { path in
        switch path.text {
        case "m/mid", "m/large": (33, 44)
        case "plain": (7, 7)
        default: nil
        }
      }
      _ = try writer.finish()
      let packed = try members(sink.bytes).map { "\($0.0.entry.path.text) \($0.0.entry.uid):\($0.0.entry.gid)" }
      #expect(
        packed == [
          "a-large 33:44", "m 0:0", "m/afirst 33:44", "m/large 33:44", "m/mid 33:44", "other 0:0", "plain 0:0",
          "z 33:44",
        ])
    }
  }

  /// How many descriptors of this process are of files below `path`.
  private func openFiles(below path: String) throws -> Int {
    let numbers = try Directory("/proc/self/fd").entries().map { String(decoding: $0, as: UTF8.self) }
    return numbers.filter { (try? HostPath.readLink("/proc/self/fd/\($0)"))?.hasPrefix(path) ?? false }.count
  }

  @Test func directoriesAreNotKeptOpen() throws {
    try withTree("mkdir d; cd d; seq 300 | xargs mkdir; for n in $(seq 300); do : > $n/f; done") { tree in
      for number in 1...300 {
        try tree.setAttribute(TreePath(clamping: "d/\(number)/f"), "user.overlay.origin", [1])
      }
      let most = Mutex(0)
      let path = tree.path
      try packUpper(
        tree, into: TarWriter(MemorySink()),
        owners: { _ in
          let count = try self.openFiles(below: path)
          most.withLock { $0 = max($0, count) }
          return nil
        }, width: 4)
      #expect(most.withLock { $0 } < 40)
    }
  }

  @Test func mountPointsAreLeftOut() throws {
    try withTree("mkdir -p etc/x proc/1 kept; : > etc/hosts; : > etc/hostsx") { tree in
      let read = try members(try pack(tree, exclude: ["etc/hosts", "proc"]).bytes)
      #expect(read.map(\.0.entry.path.text) == ["etc", "etc/hostsx", "etc/x", "kept"])
    }
  }

  @Test func timesAreClamped() throws {
    try withTree("touch -d @5 old; touch new") { tree in
      let read = try members(try pack(tree, latest: Timestamp(seconds: 100)).bytes)
      #expect(read.map(\.0.entry.mtime.seconds) == [100, 5])
    }
  }

  @Test func attributesAreKept() throws {
    try withTree("touch f") { tree in
      let path = TreePath(clamping: "f")
      let capability: [UInt8] = [1, 0, 0, 2] + [0, 4, 0, 0] + [UInt8](repeating: 0, count: 12)
      try tree.setAttribute(path, "security.capability", capability)
      try? tree.setAttribute(path, "user.note", [1])
      let names = try members(try pack(tree).bytes)[0].0.entry.xattrs
      #expect(names.first == .init("security.capability", capability))
    }
  }

  @Test func namesOfWhiteoutsFail() throws {
    try withTree("touch .wh.x") { tree in
      #expect(throws: Failure.self) { try pack(tree) }
    }
    try withTree("mkdir d") { tree in
      try tree.setAttribute(TreePath(clamping: "d"), "trusted.overlay.redirect", [1])
      #expect(throws: Failure.self) { try pack(tree) }
    }
  }

  /// What is packed and unpacked is packed again to the same bytes.
  @Test func packingIsTheInverseOfUnpacking() throws {
    try withTree(
      "mkdir -p d/e; printf 1 > d/f; ln d/f g; mknod gone c 0 0; ln -s d s; mkfifo p; touch -d @7.25 d/e"
    ) { tree in
      try tree.setAttribute(TreePath(clamping: "d"), "trusted.overlay.opaque", [UInt8(ascii: "y")])
      let first = try pack(tree)
      try withTree(":") { copy in
        try unpackLayer(MemorySource(first.bytes), into: copy)
        #expect(try pack(copy).diffID == first.diffID)
      }
    }
  }
}
