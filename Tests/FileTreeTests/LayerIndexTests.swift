import Core
import FileTree
import Linux
import Testing

/// Indexes of layers, mounted by the kernel and compared with what unpacking makes.
@Suite(.enabled(if: Machine.effectiveUserID == 0, "mounts and unpacks with owners and devices: needs root"))
struct LayerIndexTests {
  private func file(_ path: String, _ text: String = "", mode: UInt16 = 0o644) -> (TarEntry, [UInt8]) {
    let entry = TarEntry(
      path: TreePath(clamping: path), kind: .regular, mode: mode, size: Int64(text.utf8.count),
      mtime: Timestamp(seconds: 1_000_000_000, nanoseconds: 5))
    return (entry, Array(text.utf8))
  }

  private func other(_ path: String, _ kind: TarEntry.Kind, link: String = "") -> (TarEntry, [UInt8]) {
    let entry = TarEntry(
      path: TreePath(clamping: path), kind: kind, mode: kind == .symlink ? 0o777 : 0o750,
      mtime: Timestamp(seconds: 7), linkTarget: Array(link.utf8))
    return (entry, [])
  }

  @Test func everyKindIsShown() throws { try checkIndex(try archive(sampleEntries).bytes) }

  @Test func anEmptyLayerIsARoot() throws {
    try checkIndex(try archive([]).bytes)
    let root = TarEntry(path: .root, kind: .directory, mode: 0o1711, uid: 3, gid: 4, mtime: Timestamp(seconds: -5))
    try checkIndex(try archive([(root, [])]).bytes)
  }

  @Test func missingParentsAreMade() throws { try checkIndex(try archive([file("a/b/c/d", "1")]).bytes) }

  @Test func namesOfEveryLengthAndByte() throws {
    var entries: [(TarEntry, [UInt8])] = []
    for length in 1...255 { entries.append(file(String(repeating: "n", count: length))) }
    for byte in UInt8(1)...255 where byte != UInt8(ascii: "/") && byte != UInt8(ascii: ".") {
      for name in [[byte], [byte, UInt8(ascii: ".")], [UInt8(ascii: "."), byte], [46, 46, byte], [byte, byte]] {
        var entry = file("x").0
        entry.path = TreePath.root.child("bytes").child(name)
        entries.append((entry, []))
      }
    }
    try checkIndex(try archive(entries).bytes)
  }

  @Test func directoriesOfEverySize() throws {
    var entries: [(TarEntry, [UInt8])] = []
    for count in 0...60 {
      entries.append(other("d\(count)", .directory))
      for i in 0..<count { entries.append(file("d\(count)/\(i)")) }
    }
    for i in 0..<5000 { entries.append(file("large/\(i * 7919 % 5000)", i % 100 == 0 ? "\(i)" : "")) }
    try checkIndex(try archive(entries).bytes)
  }

  @Test func linksOfEveryLength() throws {
    let lengths = Array(1...600) + [1000, 1023, 1024, 1025, 4000, 4094, 4095]
    try checkIndex(
      try archive(lengths.map { other("link\($0)", .symlink, link: String(repeating: "t", count: $0)) }).bytes)
  }

  @Test func filesOfManySizes() throws {
    let sizes = [0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 1_000_003]
    try checkIndex(
      try archive(sizes.map { file("f\($0)", String(repeating: "x\($0)", count: $0).prefix($0).description) }).bytes)
  }

  @Test func laterMembersReplaceEarlierOnes() throws {
    try checkIndex(
      try archive([
        file("a", "1"), file("a", "two"), other("d", .directory), file("d/x"), file("e", "1"), file("h", "h"),
        other("h2", .hardLink, link: "h"), file("h", "other"), other("l", .symlink, link: "a"), file("l", "file"),
        other("m", .fifo), other("m", .symlink, link: "x"), file("again/x", "1"), other("again", .directory),
        other("again", .directory),
      ]).bytes)
  }

  @Test func laterMembersChangeTypes() throws {
    // GNU tar does not put a file where a directory with files is.
    try checkIndex(
      try archive([
        other("d", .directory), file("d/x"), file("d/sub/y", "1"), file("d", "file"), file("e"),
        other("e", .directory), file("e/f", "2"), other("s", .symlink, link: "e"), other("s", .directory),
        file("s/inside"), file("g/x", "linked"), other("out", .hardLink, link: "g/x"), file("g", "now a file"),
      ]).bytes, byTar: false)
  }

  @Test func hardLinksShareAFile() throws {
    try checkIndex(
      try archive([
        file("a/1", "data"), other("a/2", .hardLink, link: "a/1"), other("b/3", .hardLink, link: "/a/2"),
        other("sym", .symlink, link: "a"), other("symlinked", .hardLink, link: "sym"),
        other("through", .hardLink, link: "sym/1"), other("pipe", .fifo), other("pipe2", .hardLink, link: "pipe"),
      ]).bytes)
  }

  @Test func hardLinksIntoLowerLayersNeedATree() throws {
    let tar = try archive([file("a"), other("h", .hardLink, link: "usr/bin/tool")]).bytes
    do {
      _ = try indexTree(tar)
      Issue.record("it was indexed")
    } catch let error as LayerIndexBuilder.NeedsTree {
      #expect(error.reason == "/h is a hard link to /usr/bin/tool of a lower layer")
    }
  }

  @Test func whatCannotBeUnpackedIsRefused() throws {
    let bad: [[(TarEntry, [UInt8])]] = [
      [file("h"), other("h", .hardLink, link: "h")], [other("d", .directory), other("h", .hardLink, link: "d")],
      [file(".wh.x"), other("h", .hardLink, link: "x")], [file("f"), file("f/below")],
      [other("l", .symlink, link: "missing"), file("l/below")],
      [other("a", .symlink, link: "b"), other("b", .symlink, link: "a"), file("a/x")],
      [file("d/x"), other("d", .hardLink, link: "d/x")], [file(String(repeating: "n", count: 256))],
      [file(Array(repeating: "directory", count: 500).joined(separator: "/"))],
      [other("l", .symlink, link: String(repeating: "t", count: 4096))],
    ]
    for (number, entries) in bad.enumerated() {
      #expect(throws: Failure.self, "\(number)") { try indexTree(try archive(entries).bytes) }
    }
  }

  @Test func symbolicLinksInTheWayAreFollowedInside() throws {
    try checkIndex(
      try archive([
        other("usr/lib", .directory), other("lib", .symlink, link: "usr/lib"), file("lib/one", "1"),
        other("usr/up", .symlink, link: "../../../usr"), file("usr/up/two", "2"),
        other("abs", .symlink, link: "/lib"), file("abs/three", "3"), file("abs/.wh.gone"),
        other("abs", .directory), file("abs/four", "4"),
      ]).bytes, byTar: false)
  }

  @Test func whiteoutsHideWhatIsBelow() throws {
    try checkIndex(
      try archive([
        file("dir/.wh.gone"), file("dir/.wh..wh..opq"), file(".wh.again"), other("again", .directory),
        file("again/x"), other("before", .directory), file(".wh.before"), file("kept", "k"), file(".wh.kept"),
        file(".wh.parent"), file("parent/child"), file(".wh..wh.plnk/1.2"), file("new/.wh.x"),
        file(".wh.file"), file("file", "instead"), file(".wh..wh..opq"),
      ]).bytes)
  }

  @Test func devicesHaveTheirNumbers() throws {
    let numbers: [(UInt32, UInt32)] = [(0, 1), (1, 3), (5, 255), (5, 256), (259, 1_048_575), (4095, 65536), (0, 0)]
    var entries: [(TarEntry, [UInt8])] = []
    for (i, (major, minor)) in numbers.enumerated() {
      for kind in [TarEntry.Kind.characterDevice, .blockDevice] {
        var entry = other("\(kind)\(i)", kind).0
        (entry.deviceMajor, entry.deviceMinor) = (major, minor)
        entry.mode = major + minor == 0 ? 0 : entry.mode
        entries.append((entry, []))
      }
    }
    try checkIndex(try archive(entries).bytes)
    entries[0].0.deviceMajor = 4096
    #expect(throws: Failure.self) { try indexTree(try archive(entries).bytes) }
  }

  @Test func timesAreExact() throws {
    let times: [(Int64, Int32)] = [
      (0, 0), (0, 1), (-1, 999_999_999), (-2_000_000_000, 5), (1_700_000_000, 987_654_200), (10_000_000_000, 0),
    ]
    let entries = times.map { seconds, nanoseconds in
      var entry = file("\(seconds).\(nanoseconds)").0
      entry.mtime = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
      return (entry, [UInt8]())
    }
    try checkIndex(try archive(entries).bytes)
  }

  @Test func attributesAreKept() throws {
    let acl: [UInt8] =
      [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255]
      + [16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255]
    var withACL = file("acl", "x", mode: 0o644).0
    withACL.xattrs = [.init("system.posix_acl_access", acl)]
    var folder = other("folder", .directory).0
    folder.xattrs = [.init("system.posix_acl_default", acl), .init("user.x", [1]), .init("trusted.t", [2])]
    try checkIndex(try archive([(withACL, [120]), (folder, [])]).bytes, byTar: false)
    // Around the borders of blocks, with inline text behind them.
    var entries: [(TarEntry, [UInt8])] = []
    for size in stride(from: 0, through: 1100, by: 37) {
      var entry = file("f\(size)", "content").0
      entry.xattrs = [.init("user.a", [UInt8](repeating: 7, count: size)), .init("user.b", [1, 2, 3])]
      entries.append((entry, Array("content".utf8)))
      var folder = other("d\(size)", .directory).0
      folder.xattrs = entry.xattrs
      entries.append((folder, []))
      var link = other("l\(size)", .symlink, link: String(repeating: "t", count: 400)).0
      link.xattrs = [.init("trusted.a", [UInt8](repeating: 7, count: size))]
      entries.append((link, []))
    }
    try checkIndex(try archive(entries).bytes)
  }

  @Test func attributesThatUnpackingRefusesAreLeftOut() throws {
    var entries = [file("f", "x"), other("l", .symlink, link: "f"), other("p", .fifo), other("d", .directory)]
    for i in entries.indices {
      entries[i].0.xattrs = [
        .init("user.x", [1]), .init("trusted.overlay.redirect", [47]), .init("user.overlay.opaque", [121]),
        .init("strange.x", [1]), .init("user.", [2]),
      ]
    }
    let tree = try indexTree(try archive(entries).bytes)
    for (name, kept) in [("f", 1), ("l", 0), ("p", 0), ("d", 1)] {
      let id = try #require(tree.find(TreePath(clamping: name)))
      #expect(tree.node(id).xattrs.map(\.name) == (kept == 1 ? ["user.x"] : []))
    }
  }

  @Test func directoriesThatComeAgainUnite() throws {
    var first = other("d", .directory).0
    first.xattrs = [.init("user.a", [1]), .init("user.b", [1])]
    var second = other("d", .directory).0
    second.xattrs = [.init("user.b", [2])]
    second.uid = 9
    second.mode = 0o1777
    try checkIndex(try archive([(first, []), file("d/x"), (second, [])]).bytes)
  }

  @Test func foreignFormsOfHeaders() throws {
    let long = String(repeating: "long/", count: 40) + "name"
    let bytes =
      block("././@LongLink", type: "L", data: Array(long.utf8) + [0]) + block("cut", data: [1])
      + block("x", type: "x", data: pax([("path", "pax"), ("uid", "70000"), ("mtime", "1.9876542"), ("size", "3")]))
      + block("short", size: 0, data: []) + [1, 2, 3] + [UInt8](repeating: 0, count: 509)
      + block("g", type: "g", data: pax([("gid", "5")])) + block("last", data: [5])
      + [UInt8](repeating: 0, count: 1024) + Array("garbage behind the end".utf8)
    try checkIndex(bytes)
    let tree = try indexTree(bytes)
    let id = try #require(tree.find(TreePath(clamping: "pax")))
    #expect(tree.node(id).mtime == Timestamp(seconds: 1, nanoseconds: 987_654_200))
  }
}
