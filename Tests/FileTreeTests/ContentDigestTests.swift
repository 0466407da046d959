import Core
import FileTree
import Linux
import Testing

@Suite struct ContentDigestTests {
  private let context: SampleTree
  private let target: SampleTree
  private let time = Timestamp(seconds: 1_600_000_000)

  init() throws {
    context = try SampleTree()
    target = try SampleTree()
    try context.file("a.txt", "A")
    try context.folder("dir", mode: 0o700)
    try context.file("dir/one", "1")
    try context.folder("dir/sub", mode: 0o711)
    try context.file("dir/sub/two", "2")
    try context.link("to-a", to: "a.txt")
    try context.link("dir/inner", to: "../a.txt")
  }

  private func selection(_ sources: [String], excludes: [String] = []) throws -> CopySelection {
    // A selection makes a new view each time: a view keeps what it has listed.
    let view = try context.view()
    return CopySelection(
      "COPY", sources: sources.map { .tree(view, pattern: Array($0.utf8)) }, destination: Array("/x/".utf8),
      excludes: excludes)
  }

  private func lines(_ digest: ContentDigest) -> [String] {
    var out: [String] = []
    digest.list.forEach { path, facts in
      out.append("\(String(decoding: path, as: UTF8.self)) \(String(decoding: facts, as: UTF8.self))")
    }
    return out
  }

  @Test func itSeesAllButTimes() throws {
    func digest() throws -> Digest { try selection(["dir", "a.txt"]).sourceDigest(width: 3).digest }
    let first = try digest()
    try context.directory().setModified(TreePath(clamping: "dir/one"), time)
    #expect(try digest() == first)
    try context.directory().setMode(TreePath(clamping: "dir/one"), 0o600)
    #expect(try digest() != first)
    try context.directory().setMode(TreePath(clamping: "dir/one"), 0o644)
    #expect(try digest() == first)
    try context.directory().setMode(TreePath(clamping: "dir/sub"), 0o700)
    #expect(try digest() != first)
    try context.directory().setMode(TreePath(clamping: "dir/sub"), 0o711)
    try HostPath.write(Array("9".utf8), to: context.path + "/dir/sub/two")
    #expect(try digest() != first)
    try HostPath.write(Array("2".utf8), to: context.path + "/dir/sub/two")
    #expect(try digest() == first)
    try HostPath.rename(context.path + "/dir/sub/two", to: context.path + "/dir/sub/tvo")
    #expect(try digest() != first)
  }

  @Test func theListSaysWhatWasDigested() throws {
    let digest = try selection(["di*", "to-a"]).sourceDigest()
    let one = Digest.sha256("1").text
    let two = Digest.sha256("2").text
    let link = Digest.sha256("../a.txt").text
    #expect(
      lines(digest) == [
        "/dir directory 700 0:0 0", "/dir/inner symlink 777 0:0 0 \(link)", "/dir/one file 644 0:0 1 \(one)",
        "/dir/sub directory 711 0:0 0", "/dir/sub/two file 644 0:0 1 \(two)",
        "/to-a file 644 0:0 1 \(Digest.sha256("A").text)",
      ])
    let json = try JSON.parse(digest.list.json)
    #expect(json.array?.count == 6)
    #expect(json.array?[2] == .strings(["/dir/one", "file 644 0:0 1 \(one)"]))
    #expect(lines(try selection(["."]).sourceDigest()).count == 7)
  }

  @Test func bytesAndSeveralTreesAreToldApart() throws {
    let view = try context.view()
    let other = HostTree(try target.directory(), label: "stage build")
    try target.file("f", "x")
    let selection = CopySelection(
      "COPY",
      sources: [
        .tree(view, pattern: Array("a.txt".utf8)), .tree(other, pattern: Array("f".utf8)),
        .bytes(Array("hi\n".utf8), name: "EOF"),
      ], destination: Array("/x/".utf8))
    let lines = lines(try selection.sourceDigest())
    #expect(lines.map { $0.prefix { $0 != " " } } == ["/tree-0/a.txt", "/tree-1/f", "/heredoc-2/EOF"])
  }

  @Test func threadsDoNotMatter() throws {
    for number in 0..<300 { try context.file("many/\(number % 7)/\(number)", String(repeating: "x", count: number)) }
    try context.file("large", String(repeating: "0123456789", count: 1_000_000))
    let one = try selection(["."]).sourceDigest(width: 1)
    for width in [2, 8] { #expect(try selection(["."]).sourceDigest(width: width).digest == one.digest) }
    #expect(try selection(["."]).sourceDigest(keeping: ContentStore(), width: 3).digest == one.digest)
    #expect(lines(one).contains { $0.hasPrefix("/large file 644 0:0 10000000 pieces:") })
    try context.file("longer", String(repeating: "0123456789", count: 1_000_000) + "1")
    let more = try selection(["."]).sourceDigest()
    #expect(more.digest != one.digest)
  }

  @Test func hardLinksAreSeen() throws {
    try context.file("l/a", "same")
    try context.file("l/b", "same")
    let apart = try selection(["l"]).sourceDigest().digest
    try HostPath.removeFile(context.path + "/l/b")
    try HostPath.link(context.path + "/l/a", to: context.path + "/l/b")
    let linked = try selection(["l"]).sourceDigest().digest
    #expect(linked != apart)
    // A second name outside of what is selected does not matter.
    try HostPath.link(context.path + "/a.txt", to: context.path + "/outside")
    let alone = try selection(["dir", "a.txt"]).sourceDigest().digest
    try HostPath.removeFile(context.path + "/outside")
    #expect(try selection(["dir", "a.txt"]).sourceDigest().digest == alone)
  }

  @Test func excludedFilesDoNotCount() throws {
    let first = try selection(["dir"], excludes: ["sub"]).sourceDigest()
    #expect(lines(first).count == 3)
    try HostPath.write(Array("9".utf8), to: context.path + "/dir/sub/two")
    #expect(try selection(["dir"], excludes: ["sub"]).sourceDigest().digest == first.digest)
    try HostPath.write(Array("9".utf8), to: context.path + "/dir/one")
    #expect(try selection(["dir"], excludes: ["sub"]).sourceDigest().digest != first.digest)
  }

  @Test func fileCapabilitiesCount() throws {
    let file = try OpenFile(context.path + "/dir/one", .append)
    let first = try selection(["dir"]).sourceDigest().digest
    // cap_net_raw=ep, revision 2.
    let value: [UInt8] = [1, 0, 0, 2, 0, 0x20, 0, 0] + [UInt8](repeating: 0, count: 12)
    do { try file.setAttribute("security.capability", value) } catch { return }
    let index = ContextIndex(target.path + "/i", temporary: { target.path + "/t" }, now: Timestamp(seconds: 1 << 40))
    let capable = try selection(["dir"]).sourceDigest(index).digest
    #expect(capable != first)
    try index.save()
    #expect(try selection(["dir"]).sourceDigest(index).digest == capable)
  }

  @Test func whatIsRememberedIsNotReadAgain() throws {
    let path = target.path + "/index"
    func open(_ now: Timestamp = Timestamp(seconds: 1 << 40)) -> ContextIndex {
      ContextIndex(path, temporary: { path + ".tmp" }, now: now)
    }
    let index = open()
    let first = try selection(["."]).sourceDigest(index).digest
    try index.save()
    let again = open()
    let status = try #require(try HostPath.status(context.path + "/dir/one"))
    #expect(again.known(FileIdentity(status))?.digest.digest == Digest.sha256("1"))
    // A content that only the index can have told shows that the file was not read.
    again.remember(FileIdentity(status), ContextIndex.Known(digest: RawDigest(hashing: [1, 2]), hasCapability: false))
    try again.save()
    let told = try selection(["."]).sourceDigest(open())
    #expect(told.digest != first)
    #expect(lines(told).contains { $0.hasPrefix("/dir/one file 644 0:0 1 \(Digest.sha256([1, 2]).text)") })
    // The same bytes with other times are read.
    try context.directory().setModified(TreePath(clamping: "dir/one"), time)
    #expect(try selection(["."]).sourceDigest(open()).digest == first)
  }
}

@Suite struct ContextIndexTests {
  private let folder: SampleTree
  private var path: String { folder.path + "/index" }

  init() throws { folder = try SampleTree() }

  private func open(_ now: Int64 = 2_000_000_000) -> ContextIndex {
    ContextIndex(path, temporary: { [path] in path + ".tmp" }, now: Timestamp(seconds: now))
  }

  private func file(_ inode: UInt64, mtime: Int64 = 1_000_000_000, ctime: Int64 = 1_000_000_000) -> FileIdentity {
    FileIdentity(
      device: 1, inode: inode, size: 3, mtime: mtime, ctime: ctime, mtimeNanoseconds: 5, ctimeNanoseconds: 6)
  }

  private func known(_ number: UInt64) -> ContextIndex.Known {
    ContextIndex.Known(digest: RawDigest(hashing: Array("\(number)".utf8)), hasCapability: number % 2 == 0)
  }

  @Test func nothingLearnedWritesNothing() throws {
    try open().save()
    #expect(try HostPath.status(path) == nil)
  }

  @Test func manyFilesAreFoundAgain() throws {
    let first = open()
    for number: UInt64 in 1...5000 { first.remember(file(number), known(number)) }
    #expect(first.known(file(1)) == nil)
    try first.save()
    let second = open()
    for number: UInt64 in 1...5000 { #expect(second.known(file(number)) == known(number)) }
    #expect(second.known(file(5001)) == nil)
    for number: UInt64 in 4000...6000 { second.remember(file(number), known(number + 1)) }
    try second.save()
    let third = open()
    for number: UInt64 in 1..<4000 { #expect(third.known(file(number)) == known(number)) }
    for number: UInt64 in 4000...6000 { #expect(third.known(file(number)) == known(number + 1)) }
  }

  @Test func anyOtherNumberIsAnotherFile() throws {
    let first = open()
    first.remember(file(1), known(1))
    try first.save()
    let again = open()
    let changes: [(inout FileIdentity) -> Void] = [
      { $0.device = 2 }, { $0.inode = 2 }, { $0.size = 4 }, { $0.mtime += 1 }, { $0.ctime += 1 },
      { $0.mtimeNanoseconds += 1 }, { $0.ctimeNanoseconds += 1 },
    ]
    for change in changes {
      var other = file(1)
      change(&other)
      #expect(again.known(other) == nil)
    }
    #expect(again.known(file(1)) == known(1))
  }

  @Test func whatWasJustChangedIsNotRemembered() throws {
    let now: Int64 = 1_700_000_000
    let index = open(now)
    index.remember(file(1, ctime: now - 1), known(1))
    index.remember(file(2, mtime: now - 2), known(2))
    index.remember(file(3, mtime: now + 50), known(3))
    index.remember(file(4, mtime: now - 3, ctime: now - 3), known(4))
    try index.save()
    let again = open()
    #expect(again.known(file(1, ctime: now - 1)) == nil)
    #expect(again.known(file(2, mtime: now - 2)) == nil)
    #expect(again.known(file(3, mtime: now + 50)) == nil)
    #expect(again.known(file(4, mtime: now - 3, ctime: now - 3)) == known(4))
  }

  @Test func twoAtOnceKeepWhatBothLearned() throws {
    let (a, b) = (open(), open())
    a.remember(file(1), known(1))
    b.remember(file(2), known(2))
    try a.save()
    try b.save()
    let both = open()
    #expect(both.known(file(1)) == known(1))
    #expect(both.known(file(2)) == known(2))
  }

  @Test func whatNoBuildAsksForIsForgotten() throws {
    let first = open()
    first.remember(file(1), known(1))
    first.remember(file(2), known(2))
    try first.save()
    for number: UInt64 in 10...30 {
      let next = open()
      #expect(next.known(file(1)) == known(1))
      next.remember(file(number), known(number))
      try next.save()
    }
    #expect(open().known(file(1)) == known(1))
    #expect(open().known(file(2)) == nil)
  }

  @Test func damageCountsAsUnknown() throws {
    let first = open()
    for number: UInt64 in 1...20 { first.remember(file(number), known(number)) }
    try first.save()
    let good = try HostPath.read(path)
    for at in stride(from: 0, to: good.count, by: 3) {
      var bytes = good
      bytes[at] ^= 0x40
      try HostPath.write(bytes, to: path)
      let damaged = open()
      for number: UInt64 in 1...20 {
        let found = damaged.known(file(number))
        #expect(found == nil || found == known(number), "\(at)")
      }
    }
    for length in [0, 1, 63, 64, 65, good.count - 1] {
      try HostPath.write(Array(good[..<length]), to: path)
      let short = open()
      for number: UInt64 in 1...20 {
        let found = short.known(file(number))
        #expect(found == nil || found == known(number), "\(length)")
      }
    }
  }
}
