import Core
import FileTree
import Linux
import Testing

/// What is copied is what was digested for the key, or the copy fails: files may be edited while other steps run.
@Suite struct CopyChangesTests {
  private let context: SampleTree
  private let time = Timestamp(seconds: 1_600_000_000)

  init() throws {
    context = try SampleTree()
    try context.file("conf", "old")
    try context.file("dir/a.txt", "old")
    try context.file("dir/b.txt", "old")
    try context.file("large", String(repeating: "0123456789", count: 300_000))
    try context.link("link", to: "conf")
    try archive("a.tar", "old")
    try archive("packed.tar", "old", .gzip)
  }

  private func archive(_ name: String, _ content: String, _ compression: Compression = .none) throws {
    let sink = MemorySink()
    let tar = TarWriter(sink)
    try tar.begin(
      TarEntry(path: TreePath(clamping: "member"), kind: .regular, mode: 0o644, size: Int64(content.utf8.count)))
    try tar.write(Array(content.utf8))
    _ = try tar.finish()
    let bytes = MemorySink()
    let encoder = try Compressor(compression, into: bytes)
    try encoder.write(sink.bytes)
    try encoder.finish()
    try? HostPath.removeFile(context.path + "/" + name)
    try HostPath.write(bytes.bytes, to: context.path + "/" + name)
  }

  private func selection(_ source: String) throws -> CopySelection {
    var selection = CopySelection(
      "ADD", sources: [.tree(try context.view(), pattern: Array(source.utf8))], destination: Array("/x/".utf8))
    selection.unpacksArchives = true
    return selection
  }

  private func write(_ plan: CopyPlan) throws -> [String] {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    try plan.write(to: writer)
    _ = try writer.finish()
    let reader = TarReader(MemorySource(sink.bytes))
    var contents: [String] = []
    while let member = try reader.next() {
      if member.entry.kind == .regular {
        contents.append(String(decoding: try reader.bytes(limit: 4 << 20) ?? [], as: UTF8.self))
      }
    }
    return contents
  }

  /// Replaces the file, which has another size then.
  private func edit(_ name: String) throws {
    if name.hasSuffix(".tar") { return try archive(name, "content of later", name == "a.tar" ? .none : .gzip) }
    try HostPath.removeFile(context.path + "/" + name)
    try context.file(name, "newer than the key")
  }

  private static let sources = [
    ("conf", "conf"), ("link", "conf"), ("large", "large"), ("dir/*.txt", "dir/b.txt"), ("dir", "dir/b.txt"),
    ("a.tar", "a.tar"), ("packed.tar", "packed.tar"), ("*.tar", "a.tar"),
  ]

  @Test(arguments: sources) func aChangeSinceTheDigestIsNoticed(source: String, edited: String) throws {
    let selection = try selection(source)
    _ = try selection.sourceDigest()
    try edit(edited)
    #expect(throws: Failure.self) {
      try write(selection.plan(onto: EmptyTree(), created: time, scratch: context.directory()))
    }
  }

  @Test(arguments: sources) func aChangeSinceThePlanIsNoticedOrNotSeen(source: String, edited: String) throws {
    let selection = try selection(source)
    _ = try selection.sourceDigest()
    let plan = try selection.plan(onto: EmptyTree(), created: time, scratch: context.directory())
    try edit(edited)
    // What was unpacked already, or is open, may be written as it was.
    if let written = try? write(plan) { #expect(written.allSatisfy { $0 == "old" }) }
  }

  @Test func anArchiveThatIsWrittenToIsNoticed() throws {
    let selection = try selection("a.tar")
    _ = try selection.sourceDigest()
    let plan = try selection.plan(onto: EmptyTree(), created: time)
    let file = try OpenFile(context.path + "/a.tar", .readWrite)
    try file.seek(to: 512)
    try file.write("NEW")
    try file.seek(to: try file.status().size)
    try file.write([0])
    #expect(throws: Failure.self) { try write(plan) }
  }

  @Test func aLinkStaysWhatItWas() throws {
    let selection = try selection("link")
    let digest = try selection.sourceDigest().digest
    try context.file("other", "other")
    try HostPath.removeFile(context.path + "/link")
    try context.link("link", to: "other")
    #expect(try write(selection.plan(onto: EmptyTree(), created: time)) == ["old"])
    #expect(try selection.sourceDigest().digest == digest)
  }

  @Test func anotherBuildSeesTheChange() throws {
    let before = try selection("conf").sourceDigest().digest
    try edit("conf")
    let later = try selection("conf")
    #expect(try later.sourceDigest().digest != before)
    #expect(try write(later.plan(onto: EmptyTree(), created: time)) == ["newer than the key"])
  }
}
