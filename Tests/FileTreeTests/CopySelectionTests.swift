import Core
import FileTree
import Linux
import Testing

/// A directory to lay out files in, removed at the end.
final class SampleTree: Sendable {
  let path: String

  init() throws { path = try temporaryDirectory() }
  deinit { try? HostPath.removeTree(path) }

  func directory() throws -> Directory { try Directory(path) }

  func file(_ name: String, _ text: String = "x", mode: UInt16 = 0o644) throws {
    let place = TreePath(clamping: name)
    try HostPath.makeDirectories(path + place.parent.absolute)
    let file = try directory().create(place)
    try file.write(text)
    try file.setMode(mode)
  }

  func folder(_ name: String, mode: UInt16 = 0o755) throws {
    try HostPath.makeDirectories(path + "/" + name)
    try directory().setMode(TreePath(clamping: name), mode)
  }

  func link(_ name: String, to target: String) throws {
    let place = TreePath(clamping: name)
    try HostPath.makeDirectories(path + place.parent.absolute)
    try directory().makeSymlink(place, target: Array(target.utf8))
  }

  func view(ignoring patterns: [String] = []) throws -> HostTree {
    HostTree(try directory(), ignore: try IgnorePatterns(IgnoreFile(patterns.joined(separator: "\n"))))
  }
}

@Suite struct CopySelectionTests {
  private let context: SampleTree
  private let target: SampleTree
  private let time = Timestamp(seconds: 1_600_000_000)

  init() throws {
    context = try SampleTree()
    target = try SampleTree()
    try context.file("a.txt", "A")
    try context.file("b.txt", "BB", mode: 0o600)
    try context.folder("dir", mode: 0o700)
    try context.file("dir/one", "1")
    try context.folder("dir/sub", mode: 0o711)
    try context.file("dir/sub/two", "2")
    try context.link("to-a", to: "a.txt")
    try context.link("to-dir", to: "/dir/sub")
    try context.link("dir/inner", to: "../a.txt")
    try context.link("nowhere", to: "gone")
  }

  private func selection(_ sources: [String], _ destination: String, ignoring: [String] = []) throws -> CopySelection {
    let view = try context.view(ignoring: ignoring)
    return CopySelection(
      "COPY", sources: sources.map { .tree(view, pattern: Array($0.utf8)) }, destination: Array(destination.utf8))
  }

  private func lines(_ selection: CopySelection) throws -> [String] {
    let plan = try selection.plan(onto: MergedTree(trees: [target.directory()]), created: time)
    return try plan.text().split(separator: "\n").map { String($0) }
  }

  private func copy(_ sources: [String], _ destination: String, ignoring: [String] = []) throws -> [String] {
    try lines(selection(sources, destination, ignoring: ignoring))
  }

  @Test func aFileTakesTheNameOfADestinationThatIsNew() throws {
    #expect(try copy(["a.txt"], "/x/y") == ["directory 755 0:0 0 /x created", "file 644 0:0 1 /x/y"])
    #expect(try copy(["/../a.txt"], "/y") == ["file 644 0:0 1 /y"])
  }

  @Test func aSlashMeansADirectory() throws {
    let expected = ["directory 755 0:0 0 /x created", "file 644 0:0 1 /x/a.txt"]
    #expect(try copy(["a.txt"], "/x/") == expected)
    #expect(try copy(["a.txt"], "/x/.") == expected)
    #expect(try copy(["a.txt"], "/") == ["file 644 0:0 1 /a.txt"])
  }

  @Test func anExistingDirectoryIsKeptAndRepeated() throws {
    try target.folder("srv", mode: 0o1777)
    #expect(try copy(["b.txt"], "/srv") == ["directory 1777 0:0 0 /srv existing", "file 600 0:0 2 /srv/b.txt"])
    #expect(try copy(["dir"], "/srv").first == "directory 1777 0:0 0 /srv existing")
  }

  @Test func ofADirectoryTheContentIsCopied() throws {
    let content = [
      "symlink 777 0:0 0 /d/inner -> ../a.txt", "file 644 0:0 1 /d/one", "directory 711 0:0 0 /d/sub",
      "file 644 0:0 1 /d/sub/two",
    ]
    #expect(try copy(["dir"], "/d") == ["directory 755 0:0 0 /d created"] + content)
    #expect(try copy(["dir/"], "/d/") == ["directory 755 0:0 0 /d created"] + content)
    try target.folder("d/sub", mode: 0o777)
    #expect(try copy(["dir"], "/d").contains("directory 711 0:0 0 /d/sub"))
  }

  @Test func wildcards() throws {
    #expect(try copy(["*.txt"], "/x/").count == 3)
    #expect(try copy(["d*/s?b"], "/x/") == ["directory 755 0:0 0 /x created", "file 644 0:0 1 /x/two"])
    #expect(try copy(["*.none"], "/x/") == [])
    #expect(throws: Failure("COPY [: read pattern \"[\"", "syntax error in pattern")) { try copy(["["], "/x/") }
  }

  @Test func aLinkThatIsNamedIsFollowed() throws {
    #expect(try copy(["to-a"], "/x/") == ["directory 755 0:0 0 /x created", "file 644 0:0 1 /x/to-a"])
    #expect(try copy(["to-dir"], "/x") == ["directory 755 0:0 0 /x created", "file 644 0:0 1 /x/two"])
    #expect(throws: Failure.self) { try copy(["nowhere"], "/x") }
  }

  @Test func linksOfTheDestinationAreFollowedInside() throws {
    try target.folder("real")
    try target.link("alias", to: "/real")
    try target.link("file", to: "real/new")
    try target.link("out", to: "../../../escape")
    #expect(try copy(["a.txt"], "/alias/") == ["directory 755 0:0 0 /real existing", "file 644 0:0 1 /real/a.txt"])
    #expect(try copy(["a.txt"], "/file").last == "file 644 0:0 1 /real/new")
    #expect(try copy(["a.txt"], "/out/x").last == "file 644 0:0 1 /escape/x")
    try target.link("real/a.txt", to: "/etc/passwd")
    #expect(try copy(["a.txt"], "/alias/").last == "file 644 0:0 1 /real/a.txt")
    try target.link("loop", to: "loop")
    #expect(throws: Failure("resolve /loop in the image", "too many levels of symbolic links")) {
      try copy(["a.txt"], "/loop/x")
    }
  }

  @Test func kindsThatClashFail() throws {
    try target.folder("x/a.txt")
    try target.file("plain")
    #expect(throws: Failure("COPY a.txt", "cannot replace directory /x/a.txt with file")) { try copy(["a.txt"], "/x/") }
    #expect(throws: Failure("COPY dir", "cannot copy to non-directory: /plain")) { try copy(["dir"], "/plain") }
    #expect(throws: Failure("COPY a.txt", "/plain is not a directory")) { try copy(["a.txt"], "/plain/") }
  }

  @Test func withoutADirectoryTheLastFileStays() throws {
    #expect(try copy(["a.txt", "b.txt"], "/x") == ["file 600 0:0 2 /x"])
    #expect(try copy(["a.txt", "b.txt"], "/x/").count == 3)
    try target.folder("x")
    #expect(try copy(["a.txt", "b.txt"], "/x").count == 3)
  }

  @Test func withinADirectoryTheSourceReplacesOtherKinds() throws {
    try target.file("d/sub")
    try target.folder("d/inner/more")
    let copied = try copy(["dir"], "/d")
    #expect(copied.contains("directory 711 0:0 0 /d/sub") && copied.contains("file 644 0:0 1 /d/sub/two"))
    #expect(copied.contains("symlink 777 0:0 0 /d/inner -> ../a.txt"))
  }

  @Test func theLaterSourceWins() throws {
    #expect(try copy(["a.txt", "b.txt", "a.txt"], "/x/").count == 3)
    try context.file("other/a.txt", "longer")
    #expect(try copy(["a.txt", "other"], "/x/").last == "file 644 0:0 6 /x/a.txt")
  }

  @Test func ownerAndModeAreForAllThatIsCopied() throws {
    var chown = try selection(["dir"], "/x/y")
    chown.owner = CopySelection.Owner(uid: 5, gid: 6)
    chown.mode = try ModeChange("640")
    #expect(
      try lines(chown) == [
        "directory 755 5:6 0 /x created", "directory 755 5:6 0 /x/y created",
        "symlink 777 5:6 0 /x/y/inner -> ../a.txt", "file 640 5:6 1 /x/y/one", "directory 640 5:6 0 /x/y/sub",
        "file 640 5:6 1 /x/y/sub/two",
      ])
  }

  @Test(arguments: [
    ("0755", 0o600, 0o755), ("+x", 0o600, 0o711), ("u=rwX,go=rX", 0o600, 0o644), ("a-w", 0o666, 0o444),
    ("g=u", 0o640, 0o660),
    ("u+s", 0o755, 0o4755), ("go-rwx,u+x", 0o644, 0o700), ("o+t", 0o755, 0o1755),
  ])
  func modeChanges(text: String, before: Int, after: Int) throws {
    #expect(try ModeChange(text).applied(to: UInt16(before), isDirectory: false) == UInt16(after))
  }

  @Test(arguments: ["64a", "10000", "", "u", "z+x", "u=q", "99999999999999999999999"])
  func badModes(text: String) {
    #expect(
      throws: Failure("", "invalid chmod parameter: '\(text)'. it should be octal string and between 0 and 07777")
    ) {
      try ModeChange(text)
    }
  }

  @Test func hardLinksStay() throws {
    try context.directory().makeHardLink(TreePath(clamping: "dir/a-link"), to: TreePath(clamping: "dir/one"))
    let copied = try copy(["dir"], "/d")
    #expect(copied[1] == "file 644 0:0 1 /d/a-link")
    #expect(copied[3] == "hardlink 644 0:0 0 /d/one -> d/a-link")
  }

  @Test func whatIsIgnoredIsNotThere() throws {
    #expect(
      try copy(["."], "/x", ignoring: ["*", "!dir/sub"]).suffix(2) == [
        "directory 711 0:0 0 /x/dir/sub", "file 644 0:0 1 /x/dir/sub/two",
      ])
    #expect(try !copy(["."], "/x", ignoring: ["dir"]).contains { $0.contains(" /x/dir") })
    #expect(
      throws: Failure("COPY dir/one", "no such file in the build context", hint: "excluded by .dockerignore line 2: d*")
    ) {
      try copy(["dir/one"], "/x", ignoring: ["q", "d*"])
    }
  }

  @Test func aMissingSourceIsExplained() throws {
    func hint(_ source: String) -> String? {
      do {
        _ = try copy([source], "/x")
        return "copied"
      } catch {
        return (error as? Failure)?.hint
      }
    }
    #expect(hint("a.tx") == "did you mean a.txt?")
    #expect(hint("dir/sub/twa") == "did you mean dir/sub/two?")
    #expect(hint("a.txt/b") == "a.txt is not a directory")
    #expect(hint("nowhere") == "nowhere is a symbolic link to gone")
    #expect(hint("completely-else") == nil)
  }

  @Test func excludes() throws {
    var some = try selection(["."], "/x")
    some.excludes = ["dir", "!dir/sub", "*.txt"]
    #expect(
      try lines(some) == [
        "directory 755 0:0 0 /x created", "directory 700 0:0 0 /x/dir", "directory 711 0:0 0 /x/dir/sub",
        "file 644 0:0 1 /x/dir/sub/two", "symlink 777 0:0 0 /x/nowhere -> gone", "symlink 777 0:0 0 /x/to-a -> a.txt",
        "symlink 777 0:0 0 /x/to-dir -> /dir/sub",
      ])
    some = try selection(["*.txt"], "/x/")
    some.excludes = ["a*"]
    #expect(try lines(some).last == "file 600 0:0 2 /x/b.txt")
  }

  @Test func parents() throws {
    func keeping(_ source: String) throws -> [String] {
      var copy = try selection([source], "/x")
      copy.keepsParents = true
      return try lines(copy)
    }
    let head = "directory 755 0:0 0 /x created"
    #expect(
      try keeping("dir/sub/two") == [
        head, "directory 700 0:0 0 /x/dir", "directory 711 0:0 0 /x/dir/sub", "file 644 0:0 1 /x/dir/sub/two",
      ])
    #expect(try keeping("dir/./sub/t*") == [head, "directory 711 0:0 0 /x/sub", "file 644 0:0 1 /x/sub/two"])
    #expect(try keeping("**/two").last == "file 644 0:0 1 /x/dir/sub/two")
    #expect(try keeping("./dir/sub").last == "file 644 0:0 1 /x/dir/sub/two")
    #expect(throws: Failure.self) { try keeping("dir/none") }
  }

  @Test func bytesAreAFile() throws {
    let copy = CopySelection("COPY", sources: [.bytes(Array("hi\n".utf8), name: "EOF")], destination: Array("/x/".utf8))
    #expect(try lines(copy) == ["directory 755 0:0 0 /x created", "file 644 0:0 3 /x/EOF"])
  }

  @Test func whiteoutNamesAreRefused() throws {
    try context.file("w/.wh.a")
    #expect(throws: Failure.self) { try copy(["w"], "/x") }
  }

  @Test(arguments: [Compression.none, .gzip])
  func archivesAreUnpacked(compression: Compression) throws {
    let sink = MemorySink()
    let tar = TarWriter(sink)
    func add(_ path: String, _ kind: TarEntry.Kind, _ data: String = "", link: String = "") throws {
      try tar.begin(
        TarEntry(
          path: TreePath(clamping: path), kind: kind, mode: 0o644, uid: 7, gid: 8, size: Int64(data.utf8.count),
          linkTarget: Array(link.utf8)))
      try tar.write(Array(data.utf8))
    }
    try add("p/f", .regular, "data")
    try add("p/h", .hardLink, link: "p/f")
    try add("s", .symlink, link: "p")
    try add("s/g", .regular, "more")
    _ = try tar.finish()
    let bytes = MemorySink()
    let encoder = try Compressor(compression, into: bytes)
    try encoder.write(sink.bytes)
    try encoder.finish()
    try HostPath.write(bytes.bytes, to: context.path + "/archive")
    var add = try selection(["archive"], "/x")
    add.unpacksArchives = true
    add.owner = CopySelection.Owner(uid: 1, gid: 1)
    let plan = try add.plan(onto: EmptyTree(), created: time, scratch: target.directory())
    #expect(
      try plan.text() == """
        directory 755 1:1 0 /x created
        directory 755 1:1 0 /x/p created
        file 644 7:8 4 /x/p/f
        file 644 7:8 4 /x/p/g
        hardlink 644 7:8 0 /x/p/h -> x/p/f
        symlink 644 7:8 0 /x/s -> p

        """)
    let written = MemorySink()
    let writer = TarWriter(written)
    try plan.write(to: writer)
    _ = try writer.finish()
    let reader = TarReader(MemorySource(written.bytes))
    var contents: [String: String] = [:]
    while let member = try reader.next() {
      contents[member.entry.path.text] = String(decoding: try reader.bytes(limit: 100) ?? [], as: UTF8.self)
    }
    #expect(contents["x/p/g"] == "more")
    add.unpacksArchives = false
    #expect(try add.plan(onto: EmptyTree(), created: time).entries().count == 1)
  }
}
