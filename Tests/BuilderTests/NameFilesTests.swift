import Core
import Linux
import Testing

@testable import Builder

@Suite struct NameFilesTests {
  @Test func hostsHasTheLoopbackNamesAndWhatWasAdded() throws {
    let text = try NameFiles.hostsText(hostname: "box", addHosts: ["db:10.0.0.2", "six:fd00::1", "eq=10.0.0.3"])
    #expect(text.hasPrefix("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"))
    #expect(text.hasSuffix("127.0.1.1\tbox\n10.0.0.2\tdb\nfd00::1\tsix\n10.0.0.3\teq\n"))
  }

  @Test func hostsOfTheHostAreKept() throws {
    let text = try NameFiles.hostsText(
      hostname: "box", addHosts: ["db:10.0.0.2"], base: "127.0.0.1 here\n\n10.1.1.1 there\n")
    #expect(text == "127.0.0.1 here\n\n10.1.1.1 there\n10.0.0.2\tdb\n")
    #expect(try NameFiles.hostsText(hostname: "box", addHosts: [], base: "") == "")
  }

  @Test("an entry without a name or an address is refused", arguments: ["db", ":10.0.0.2", ""])
  func refusesMalformed(entry: String) {
    #expect(throws: Failure.self) { try NameFiles.hostsText(hostname: "box", addHosts: [entry]) }
  }

  @Test func resolverIsEmptyWithoutNetwork() throws {
    let folder = try HostPath.makeTemporaryDirectory("/tmp/stave-names-test-")
    defer { try? HostPath.removeTree(folder) }
    let files = try NameFiles.write(in: folder, hostname: "box", addHosts: [], hasNetwork: false)
    #expect(try HostPath.read(try #require(files.resolvConf)).isEmpty)
    #expect(try HostPath.read(try #require(files.hostname)) == Array("box\n".utf8))
    #expect(files.isReadonly)
  }
}
