import Core
import FileTree
import Linux
import Testing

/// Needs root: whiteouts are devices.
@Suite(.enabled(if: Machine.effectiveUserID == 0)) struct MergedTreeTests {
  private func path(_ text: String) -> TreePath { TreePath(clamping: text) }

  @Test func layersAreMerged() throws {
    let low = try SampleTree()
    let middle = try SampleTree()
    let top = try SampleTree()
    try low.file("d/a", "low")
    try low.file("d/gone")
    try low.file("opaque/old")
    try low.file("swap/below")
    try low.file("to-directory")
    try middle.file("d/b", "middle")
    try middle.directory().makeNode(path("d/gone"), kind: .characterDevice, mode: 0)
    try middle.folder("opaque")
    try middle.directory().setAttribute(path("opaque"), "trusted.overlay.opaque", [UInt8(ascii: "y")])
    try middle.file("opaque/new")
    try middle.file("swap")
    try middle.file("to-directory/x")
    try top.file("d/a", "top")
    try top.link("link", to: "d")
    let tree = MergedTree(trees: [try top.directory(), try middle.directory(), try low.directory()])
    func names(_ text: String) throws -> [String] {
      try tree.children(path(text)).map { String(decoding: $0.name, as: UTF8.self) }
    }
    #expect(try names("/") == ["d", "link", "opaque", "swap", "to-directory"])
    #expect(try names("d") == ["a", "b"])
    #expect(try names("opaque") == ["new"])
    #expect(try names("to-directory") == ["x"])
    #expect(try tree.entry(path("d/gone")) == nil)
    #expect(try tree.entry(path("opaque/old")) == nil)
    #expect(try tree.entry(path("swap"))?.kind == .regular)
    #expect(try tree.entry(path("swap/below")) == nil)
    #expect(try tree.entry(path("link/a")) == nil)
    #expect(try tree.resolve(path("link/a")) == path("d/a"))
    #expect(try tree.readSmallFile(path("link/a")) == Array("top".utf8))
    #expect(try tree.readSmallFile(path("d/b")) == Array("middle".utf8))
    #expect(try tree.entry(path("opaque"))?.xattrs == [])
    #expect(throws: Failure.self) { try tree.readSmallFile(path("d/b"), limit: 3) }
    #expect(try MergedTree(trees: []).entry(.root)?.mode == 0o755)
  }

  @Test func anOpaqueRootHidesAllBelow() throws {
    let low = try SampleTree()
    let middle = try SampleTree()
    let top = try SampleTree()
    try low.file("old")
    try middle.file("new")
    try middle.directory().setAttribute(.root, "trusted.overlay.opaque", [UInt8(ascii: "y")])
    try top.file("top")
    let tree = MergedTree(trees: [try top.directory(), try middle.directory(), try low.directory()])
    #expect(try tree.children(.root).map { String(decoding: $0.name, as: UTF8.self) } == ["new", "top"])
    #expect(try tree.entry(path("old")) == nil)
    #expect(try tree.entry(path("new")) != nil)
  }

  @Test func users() throws {
    let image = try SampleTree()
    try image.file(
      "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n# bad\napp:x:1000:1001::/home/app:/bin/sh\nnum:x:70000:3::\n")
    try image.file("usr/group", "root:x:0:\nwheel:x:10:app,other\naudio:x:9:app\napp:x:1001:\n")
    try image.link("etc/group", to: "/usr/group")
    let users = try UserLookup(in: MergedTree(trees: [image.directory()]))
    func user(_ text: String) throws -> String {
      let user = try users.processUser(text)
      return "\(user.uid):\(user.gid) \(user.additionalGids) \(user.home) \(user.name ?? "-")"
    }
    #expect(try user("app") == "1000:1001 [9, 10] /home/app app")
    #expect(try user("app:wheel") == "1000:10 [] /home/app app")
    #expect(try user("1000") == "1000:1001 [9, 10] /home/app app")
    #expect(try user("1234") == "1234:0 [] / -")
    #expect(try user("1234:77") == "1234:77 [] / -")
    #expect(try user("") == "0:0 [] /root root")
    #expect(try user("70000") == "70000:3 [] / num")
    #expect(try users.owner("app") == CopySelection.Owner(uid: 1000, gid: 1001))
    #expect(try users.owner("1000") == CopySelection.Owner(uid: 1000, gid: 1000))
    #expect(try users.owner("55:audio") == CopySelection.Owner(uid: 55, gid: 9))
    #expect(throws: Failure("unable to find user foo", "no matching entries in passwd file")) { try users.owner("foo") }
    #expect(throws: Failure("unable to find group bar", "no matching entries in group file")) { try user("app:bar") }
    #expect(throws: Failure.self) { try user("99999999999") }
    #expect(try UserLookup(in: EmptyTree()).processUser("0").home == "/")
  }
}
