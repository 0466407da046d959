import Core
import FileTree
import Linux
import Testing

/// Needs root: owners, devices and `trusted.` attributes are set.
@Suite(.enabled(if: Machine.effectiveUserID == 0)) struct UnpackTests {
  private func withTree(_ body: (Directory, String) throws -> Void) throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try HostPath.makeDirectories(root + "/tree")
    try HostPath.write(Array("secret".utf8), to: root + "/outside")
    try body(try Directory(root + "/tree"), root)
    #expect(try HostPath.read(root + "/outside") == Array("secret".utf8))
    #expect(try Directory(root).entries().count == 2)
  }

  private func file(_ path: String, _ text: String = "", mode: UInt16 = 0o644) -> (TarEntry, [UInt8]) {
    let entry = TarEntry(
      path: TreePath(clamping: path), kind: .regular, mode: mode, size: Int64(text.utf8.count),
      mtime: Timestamp(seconds: 1_000_000_000, nanoseconds: 5))
    return (entry, Array(text.utf8))
  }

  private func other(_ path: String, _ kind: TarEntry.Kind, link: String = "") -> (TarEntry, [UInt8]) {
    (TarEntry(path: TreePath(clamping: path), kind: kind, mode: 0o755, linkTarget: Array(link.utf8)), [])
  }

  @discardableResult
  private func unpack(
    _ entries: [(TarEntry, [UInt8])], _ tree: Directory, _ whiteouts: UnpackWhiteouts = .overlay,
    lower: ((TreePath) throws -> LowerFile?)? = nil
  ) throws -> UnpackReport {
    try unpackLayer(MemorySource(archive(entries).bytes), into: tree, whiteouts: whiteouts, lowerLookup: lower)
  }

  private func text(_ tree: Directory, _ path: String) throws -> String {
    String(decoding: try tree.open(TreePath(clamping: path)).readAll(), as: UTF8.self)
  }

  @Test func everyKindIsUnpacked() throws {
    try withTree { tree, _ in
      let report = try unpack(sampleEntries, tree)
      #expect(report.entryCount == sampleEntries.count)
      for (entry, data) in sampleEntries where entry.kind != .hardLink {
        let status = try #require(try tree.status(entry.path))
        #expect(status.uid == entry.uid && status.gid == entry.gid)
        #expect(status.mtime == entry.mtime, "\(entry.path)")
        if entry.kind != .symlink { #expect(status.mode == entry.mode) }
        if entry.kind == .regular { #expect(try tree.open(entry.path).readAll() == data) }
        #expect(status.deviceMajor == entry.deviceMajor && status.deviceMinor == entry.deviceMinor)
      }
      let names = ["setuid", "hard"].map { TreePath(clamping: $0) }
      #expect(try tree.status(names[0])?.inode == tree.status(names[1])?.inode)
      #expect(
        try tree.attribute(TreePath(clamping: "attributes"), "security.capability")
          == sampleEntries[6].0.xattrs[0].value
          || report.refusedAttributes.contains("/attributes: security.capability"))
    }
  }

  @Test func missingParentsAreMadeAlikeEachTime() throws {
    try withTree { tree, _ in
      try unpack([file("a/b/c", "1")], tree)
      let status = try #require(try tree.status(TreePath(clamping: "a/b")))
      #expect(status.mode == 0o755 && status.uid == 0 && status.mtime == Timestamp(seconds: 0))
    }
  }

  @Test func whiteoutsBecomeOverlays() throws {
    try withTree { tree, _ in
      try unpack(
        [
          file("dir/.wh.gone"), file("dir/.wh..wh..opq"), file(".wh.again"), other("again", .directory),
          file("again/x"), other("before", .directory), file(".wh.before"), file("kept", "k"), file(".wh.kept"),
          file(".wh.parent"), file("parent/child"), file(".wh..wh.plnk/1.2"),
        ], tree)
      let gone = try #require(try tree.status(TreePath(clamping: "dir/gone")))
      #expect(gone.kind == .characterDevice && gone.deviceMajor == 0 && gone.deviceMinor == 0)
      for path in ["dir", "again", "before", "parent"] {
        #expect(try tree.attribute(TreePath(clamping: path), "trusted.overlay.opaque") == [UInt8(ascii: "y")])
      }
      #expect(try text(tree, "kept") == "k")
      #expect(try tree.entries().count == 5)
    }
  }

  @Test func whiteoutsAreApplied() throws {
    try withTree { tree, _ in
      try unpack([file("d/old"), file("d/sub/old"), file("gone"), file("o/a"), file("o/b/c")], tree, .apply)
      try unpack(
        [
          file("d/new"), file(".wh.gone"), file(".wh.never"), file("o/new"), file("o/.wh..wh..opq"), file("o/b/new"),
          file("d/sub/.wh.old"),
        ],
        tree, .apply)
      #expect(try tree.entries() == ["d", "o"].map { Array($0.utf8) })
      #expect(try tree.directory(TreePath(clamping: "o")).entries() == ["b", "new"].map { Array($0.utf8) })
      #expect(try tree.directory(TreePath(clamping: "d")).entries() == ["new", "old", "sub"].map { Array($0.utf8) })
      #expect(try tree.directory(TreePath(clamping: "d/sub")).entries().isEmpty)
    }
  }

  @Test func laterMembersReplaceEarlierOnes() throws {
    try withTree { tree, _ in
      try unpack(
        [
          file("a", "1"), file("a", "2"), file("d/x", "1"), file("d", "file"), file("e"), file("e/f", "2"),
        ].filter { $0.0.path.text != "e/f" } + [
          other("e", .directory), file("e/f", "2"), other("s", .symlink, link: "e"),
          other("s", .directory), file("s/inside"),
        ], tree)
      #expect(try text(tree, "a") == "2")
      #expect(try text(tree, "d") == "file")
      #expect(try text(tree, "e/f") == "2")
      #expect(try tree.directory(TreePath(clamping: "e")).entries().count == 1)
    }
  }

  @Test func nothingLeavesTheTree() throws {
    try withTree { tree, root in
      let escape = "../" + "../../../../../.." + root
      let attacks: [[(TarEntry, [UInt8])]] = [
        [other("l", .symlink, link: root), file("l/outside", "evil")],
        [other("l", .symlink, link: ".."), file("l/outside", "evil")],
        [other("l", .symlink, link: escape), file("l/outside", "evil")],
        [other("l", .symlink, link: root + "/outside"), file("l", "evil")],
        [other("l", .symlink, link: root + "/outside"), other("h", .hardLink, link: "l"), file("h", "evil")],
        [other("l", .symlink, link: root), other("h", .hardLink, link: "l/outside")],
        [other("l", .symlink, link: root), file("l/.wh.outside")],
        [other("l", .symlink, link: ".."), file("l/.wh..wh..opq")],
        [other("l", .symlink, link: root), other("l/new", .directory), other("l/dev", .fifo)],
        [other("a", .symlink, link: "b"), other("b", .symlink, link: "a"), file("a/x", "evil")],
      ]
      for (number, attack) in attacks.enumerated() {
        for whiteouts in [UnpackWhiteouts.overlay, .apply] {
          // Refused or kept inside: `withTree` looks at what is outside.
          do { try unpack(attack, tree, whiteouts) } catch is Failure {} catch { Issue.record("\(number): \(error)") }
          for name in try tree.entries() { try tree.removeTree(TreePath.root.child(name)) }
        }
      }
    }
  }

  @Test func hardLinksThatLeadNowhereFail() throws {
    try withTree { tree, _ in
      #expect(throws: Failure("unpack /h", "it is a hard link to /missing, which does not exist")) {
        try unpack([other("h", .hardLink, link: "missing")], tree)
      }
      #expect(throws: Failure.self) { try unpack([file("h"), other("h", .hardLink, link: "h")], tree) }
      #expect(throws: Failure.self) {
        try unpack([other("d", .directory), other("h2", .hardLink, link: "d")], tree)
      }
    }
  }

  @Test func hardLinksToLowerLayersAreCopied() throws {
    try withTree { tree, _ in
      try unpack([other("h", .hardLink, link: "usr/bin/tool")], tree) { path in
        #expect(path.text == "usr/bin/tool")
        let entry = TarEntry(path: path, kind: .regular, mode: 0o4711, uid: 3, size: 4)
        return LowerFile(entry, MemorySource(Array("tool".utf8)))
      }
      #expect(try text(tree, "h") == "tool")
      let status = try #require(try tree.status(TreePath(clamping: "h")))
      #expect(status.mode == 0o4711 && status.uid == 3)
    }
  }

  @Test func overlaysOwnAttributesAreNeverSet() throws {
    try withTree { tree, _ in
      var entry = other("d", .directory)
      entry.0.xattrs = [.init("trusted.overlay.redirect", Array("/etc".utf8)), .init("user.overlay.opaque", [121])]
      try unpack([entry], tree)
      #expect(try tree.attributeNames(TreePath(clamping: "d")).isEmpty)
    }
  }

  @Test func sparseFilesStaySparse() throws {
    try withTree { tree, _ in
      let size = 64 << 20
      let bytes =
        block("x", type: "x", data: pax([("GNU.sparse.map", "5,2,1000000,2"), ("GNU.sparse.size", "\(size)")]))
        + block("s", data: [1, 2, 3, 4])
      try unpackLayer(MemorySource(bytes), into: tree)
      let status = try #require(try tree.status(TreePath(clamping: "s")))
      #expect(status.size == Int64(size) && status.allocated < 1 << 20)
      let read = try tree.open(TreePath(clamping: "s")).readAll()
      #expect(read[5...6] == [1, 2] && read[1_000_000...1_000_001] == [3, 4])
      #expect(read.reduce(0) { $0 + Int($1) } == 10)
    }
  }
}
