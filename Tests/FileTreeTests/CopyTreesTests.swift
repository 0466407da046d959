import Core
import FileTree
import Linux
import Testing

/// Whole trees of a context that are copied as they are give what copying entry by entry gives.
@Suite struct CopyTreesTests {
  private let context: SampleTree
  private let target: SampleTree
  private let time = Timestamp(seconds: 1_600_000_000)

  init() throws {
    context = try SampleTree()
    target = try SampleTree()
    for number in 0..<400 {
      try context.file("many/\(number % 9)/sub-\(number % 4)/f\(number)", String(repeating: "\(number)", count: number))
    }
    try context.file("many/large", String(repeating: "0123456789", count: 150_000))
    try context.file("many/huge", String(repeating: "0123456789", count: 900_001))
    try context.file("many/empty", "")
    try context.file("many/a.b", "between a and its entries", mode: 0o4755)
    try context.file("many/a/x", "x")
    try context.link("many/link", to: "a/x")
    try context.folder("many/none", mode: 0o700)
    try context.file("second/0/sub-0/f0", "second")
    try context.file("second/a/y", "y")
  }

  private func selection(_ sources: [String], _ destination: String) throws -> CopySelection {
    let view = try context.view()
    return CopySelection(
      "COPY", sources: sources.map { .tree(view, pattern: Array($0.utf8)) }, destination: Array(destination.utf8))
  }

  private func base() throws -> any TreeView { HostTree(try target.directory(), label: "the image") }

  private func tar(_ plan: CopyPlan, width: Int) throws -> (diffID: Digest, size: Int64) {
    let writer = TarWriter(MemorySink())
    try plan.write(to: writer, width: width)
    return try writer.finish()
  }

  /// The plan after the context was digested, whose trees are single entries of it, is the plan without that.
  private func expectSame(_ sources: [String], _ destination: String, change: (inout CopySelection) -> Void = { _ in })
    throws
  {
    var plain = try selection(sources, destination)
    change(&plain)
    let expected = try plain.plan(onto: base(), created: time)
    let wanted = try tar(expected, width: 1)
    for store in [nil, ContentStore(), ContentStore(limit: 4 << 20)] {
      var digested = try selection(sources, destination)
      change(&digested)
      _ = try digested.sourceDigest(keeping: store, width: 2)
      let plan = try digested.plan(onto: base(), created: time)
      #expect(try plan.text() == expected.text())
      for width in [1, 2, 8] { #expect(try tar(plan, width: width) == wanted) }
    }
  }

  @Test func aNewDirectoryIsATree() throws { try expectSame(["many"], "/new/") }

  @Test func whatExistsIsLookedInto() throws {
    try target.folder("app/0", mode: 0o711)
    try target.file("app/a/z", "z")
    try expectSame(["many"], "/app")
    try expectSame(["."], "/")
  }

  @Test func laterSourcesReachIntoTrees() throws {
    try expectSame(["many", "second"], "/new/")
    try expectSame(["second", "many"], "/new/")
    try expectSame(["many", "many/a"], "/new/0/")
  }

  @Test func ownersAndModesAreForAll() throws {
    try expectSame(["many"], "/new/") {
      $0.owner = CopySelection.Owner(uid: 7, gid: 8)
      $0.mode = try? ModeChange("u=rwX,go=rX")
    }
  }

  @Test func hardLinksStay() throws {
    try HostPath.link(context.path + "/many/a/x", to: context.path + "/many/0/linked")
    try expectSame(["many"], "/new/")
    let lines = try selection(["many"], "/new/").plan(onto: base(), created: time).text()
    #expect(lines.contains("hardlink 644 0:0 0 /new/a/x -> new/0/linked"))
  }

  @Test func whiteoutNamesAreRefused() throws {
    try context.file("many/3/.wh.a", "")
    let selection = try selection(["many"], "/new/")
    _ = try selection.sourceDigest()
    #expect(throws: Failure.self) { try selection.plan(onto: base(), created: time) }
  }

  @Test func aFileThatChangedSinceItWasDigestedIsNoticed() throws {
    for name in ["many/2/sub-2/f2", "many/huge"] {
      let selection = try selection(["many"], "/new/")
      _ = try selection.sourceDigest()
      let plan = try selection.plan(onto: base(), created: time)
      let file = try OpenFile(context.path + "/" + name, .readWrite)
      try file.write("?")
      #expect(throws: Failure.self) { try tar(plan, width: 2) }
    }
  }

  @Test func cancellingEndsTheReading() async throws {
    let selection = try selection(["many"], "/new/")
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try selection.sourceDigest()
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    let plan = try selection.plan(onto: base(), created: time)
    let writing = Task {
      while !Task.isCancelled { await Task.yield() }
      let writer = TarWriter(MemorySink())
      try plan.write(to: writer, width: 2)
    }
    writing.cancel()
    await #expect(throws: CancellationError.self) { try await writing.value }
  }
}
