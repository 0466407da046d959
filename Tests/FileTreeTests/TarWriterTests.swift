import Core
import FileTree
import Testing

/// What is written for each kind of entry, as digests that may never change.
@Suite struct TarWriterTests {
  @Test func emptyArchiveIsTwoZeroBlocks() throws {
    let sink = MemorySink()
    let (diffID, size) = try TarWriter(sink).finish()
    #expect(sink.bytes == [UInt8](repeating: 0, count: 1024))
    #expect(size == 1024)
    #expect(diffID == Digest.sha256(sink.bytes))
    #expect(diffID.text == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
  }

  @Test func everyKindHasItsBytes() throws {
    let (bytes, diffID) = try archive(sampleEntries)
    #expect(diffID == Digest.sha256(bytes))
    #expect(diffID.text == goldenSample)
    let again = try archive(sampleEntries)
    #expect(again.diffID == diffID)
  }

  @Test func plainEntriesNeedNoExtendedHeader() throws {
    let entry = TarEntry(
      path: TreePath(clamping: "etc/hosts"), kind: .regular, mode: 0o644, uid: 1000, gid: 100, size: 3,
      mtime: Timestamp(seconds: 1_700_000_000))
    let (bytes, _) = try archive([(entry, [1, 2, 3])])
    #expect(bytes.count == 512 + 512 + 1024)
    #expect(Array(bytes[0..<10]) == Array("etc/hosts\0".utf8))
    #expect(Array(bytes[100..<157]) == Array("0000644\00001750\00000144\000000000003\014524770400\0011124\0 0".utf8))
    #expect(Array(bytes[257..<265]) == Array("ustar\u{0}00".utf8))
  }

  @Test func longPathsThatFitUstarUseThePrefix() throws {
    let path = String(repeating: "d", count: 90) + "/" + String(repeating: "f", count: 100)
    let (bytes, _) = try archive([(TarEntry(path: TreePath(clamping: path), kind: .regular, mode: 0o600), [])])
    #expect(bytes.count == 512 + 1024)
    #expect(Array(bytes[345..<435]) == [UInt8](repeating: UInt8(ascii: "d"), count: 90))
  }

  @Test func positionsAreTrue() throws {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    let offset = try writer.begin(TarEntry(path: TreePath(clamping: "a"), kind: .regular, mode: 0o600, size: 4))
    #expect(offset == 512)
    try writer.write([1, 2])
    #expect(writer.position == 514)
    try writer.write([3, 4])
    #expect(try writer.begin(TarEntry(path: TreePath(clamping: "b"), kind: .directory, mode: 0o700)) == 1536)
    _ = try writer.finish()
    #expect(Array(sink.bytes[512..<516]) == [1, 2, 3, 4])
  }

  @Test func aFileThatShrinksOrGrowsFails() throws {
    let entry = TarEntry(path: TreePath(clamping: "a"), kind: .regular, mode: 0o600, size: 4)
    let failure = Failure("read /a", "file changed while it was read")
    var writer = TarWriter(MemorySink())
    try writer.begin(entry)
    #expect(throws: failure) { try writer.copy(from: MemorySource([1, 2, 3])) }
    writer = TarWriter(MemorySink())
    try writer.begin(entry)
    #expect(throws: failure) { try writer.copy(from: MemorySource([1, 2, 3, 4, 5])) }
    writer = TarWriter(MemorySink())
    try writer.begin(entry)
    try writer.write([1])
    #expect(throws: failure) { try writer.begin(entry) }
    #expect(throws: failure) { try writer.write([1, 2, 3, 4]) }
  }

  @Test func theRootIsADirectoryOnly() throws {
    #expect(throws: Failure.self) { try archive([(TarEntry(path: .root, kind: .regular, mode: 0), [])]) }
    let (bytes, _) = try archive([(TarEntry(path: .root, kind: .directory, mode: 0o755), [])])
    #expect(Array(bytes[0..<3]) == Array("./\0".utf8))
  }
}

/// The digest of `sampleEntries`' archive.
private let goldenSample = "sha256:4dd20dbfc76cab333ecefc89a7a478efe5689ffde64d5f7097b2875d504d5850"

/// One entry for each kind and for each reason to write an extended header.
let sampleEntries: [(TarEntry, [UInt8])] = {
  func entry(_ path: String, _ kind: TarEntry.Kind, size: Int = 0, link: String = "") -> TarEntry {
    TarEntry(
      path: TreePath(clamping: path), kind: kind, mode: 0o644, uid: 1, gid: 2, size: Int64(size),
      mtime: Timestamp(seconds: 1_600_000_000), linkTarget: Array(link.utf8))
  }
  var fraction = entry("fraction", .regular, size: 5)
  fraction.mtime = Timestamp(seconds: 1_600_000_000, nanoseconds: 120_000_000)
  var before = entry("before", .directory)
  before.mtime = Timestamp(seconds: -2, nanoseconds: 500_000_000)
  var ids = entry("ids", .regular)
  ids.uid = 4_294_967_294
  ids.gid = 2_097_152
  var device = entry("dev/sda", .blockDevice)
  (device.deviceMajor, device.deviceMinor) = (8, 1_048_575)
  var console = entry("dev/console", .characterDevice)
  (console.deviceMajor, console.deviceMinor) = (5, 1)
  var attributes = entry("attributes", .regular)
  attributes.xattrs = [
    .init("security.capability", [1, 0, 0, 2, 0, 4] + [UInt8](repeating: 0, count: 14)),
    .init("user.a=b%", Array("x=\n1".utf8)), .init("user.empty", []),
  ]
  var setuid = entry("setuid", .regular, size: 513)
  setuid.mode = 0o4755
  let long = Array(repeating: "directory", count: 30).joined(separator: "/")
  return [
    (entry("dir", .directory), []), (fraction, Array("12345".utf8)), (before, []), (ids, []), (device, []),
    (console, []), (attributes, []), (setuid, [UInt8](repeating: 7, count: 513)), (entry("pipe", .fifo), []),
    (entry("link", .symlink, link: "../x/./y"), []), (entry("hard", .hardLink, link: "setuid"), []),
    (entry(long, .directory), []), (entry(long + "/file", .regular, size: 1), [9]),
    (entry("long-link", .symlink, link: "/" + long), []), (entry("long-hard", .hardLink, link: long + "/file"), []),
    (entry("größe/日本", .regular, size: 2), [1, 2]),
    (entry(String(repeating: "n", count: 255), .regular), []),
  ]
}()

/// The archive of `entries`.
func archive(_ entries: [(TarEntry, [UInt8])]) throws -> (bytes: [UInt8], diffID: Digest) {
  let sink = MemorySink()
  let writer = TarWriter(sink)
  for (entry, data) in entries {
    try writer.begin(entry)
    try writer.write(data)
  }
  let diffID = try writer.finish().diffID
  return (sink.bytes, diffID)
}

/// The members of the archive `bytes` and their data.
func members(_ bytes: [UInt8]) throws -> [(TarMember, [UInt8])] {
  let reader = TarReader(MemorySource(bytes))
  var out: [(TarMember, [UInt8])] = []
  while let member = try reader.next() { out.append((member, try reader.bytes(limit: 1 << 24) ?? [])) }
  return out
}
