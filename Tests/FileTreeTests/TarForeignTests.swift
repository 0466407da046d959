import Core
import FileTree
import Linux
import Testing

/// Our reader and writer against GNU tar.
@Suite(.enabled(if: which("tar") != nil)) struct TarForeignTests {
  private static let tar = "/usr/bin/tar"

  /// A tree with what makes archives hard, at `root`.
  private func makeTree(_ root: String) throws {
    try run(
      [
        "/bin/sh", "-ec",
        """
        umask 022
        mkdir -p d/e empty
        printf hello > d/file; ln d/file d/hard; ln -s ../x d/e/link; mkfifo fifo; chmod 4755 d/file
        truncate -s 3000000 sparse; printf abc | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
        truncate -s 500000 holes
        i=0; truncate -s 4000000 many
        while [ $i -lt 40 ]; do
          printf x | dd of=many bs=1 seek=$((i * 90000 + 5)) conv=notrunc status=none; i=$((i+1))
        done
        n=$(printf '%0120d' 7); mkdir $n; printf long > $n/$n; ln -s $n/$n symlong; ln $n/$n hardlong
        printf u > 'größe'
        touch -d '1969-12-31 23:59:58.5 UTC' old; touch -d '2001-02-03 04:05:06.123456789 UTC' d/e
        """,
      ], in: root)
  }

  @Test(arguments: ["posix", "gnu", "oldgnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1"])
  func readsWhatGNUTarWrites(_ format: String) throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try makeTree(root)
    let options = format.split(separator: " ").map(String.init)
    let bytes = try run(
      [Self.tar, "--format=\(options[0])"] + options.dropFirst() + ["-S", "--sort=name", "-cf", "-", "."], in: root)
    let directory = try Directory(root)
    var seen: Set<String> = []
    var sparse = 0
    for (member, data) in try members(bytes) {
      let entry = member.entry
      seen.insert(entry.path.text)
      let status = try #require(try directory.status(entry.path), "\(entry.path)")
      if entry.kind != .hardLink { #expect(entry.mode == status.mode, "\(entry.path)") }
      if options[0] == "posix" && entry.kind != .hardLink {
        #expect(entry.mtime == status.mtime, "\(entry.path)")
      }
      if entry.kind == .regular {
        #expect(try data == directory.open(entry.path).readAll(), "\(entry.path)")
        if let extents = member.extents {
          sparse += 1
          #expect(extents.reduce(0) { $0 + $1.length } == member.storedSize)
        }
      }
      if entry.kind == .symlink { #expect(try entry.linkTarget == directory.readLink(entry.path)) }
    }
    #expect(sparse == 3)
    #expect(seen.count == 17)
    #expect(seen.isSuperset(of: ["", "d/hard", "größe", "hardlong", "many"]))
  }

  @Test func readsUstarAndVersion7() throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try run(["/bin/sh", "-ec", "mkdir -p a/b; printf 1 > a/b/c; ln a/b/c a/d; ln -s c a/b/e"], in: root)
    for format in ["ustar", "v7"] {
      let bytes = try run([Self.tar, "--format=\(format)", "--sort=name", "-cf", "-", "a"], in: root)
      let read = try members(bytes)
      #expect(read.map(\.0.entry.path.text) == ["a", "a/b", "a/b/c", "a/b/e", "a/d"])
      #expect(read.map(\.0.entry.kind) == [.directory, .directory, .regular, .symlink, .hardLink])
      #expect(read[2].1 == [UInt8(ascii: "1")])
    }
  }

  @Test func gnuTarReadsWhatWeWrite() throws {
    let (bytes, _) = try archive(sampleEntries)
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    let entries = sampleEntries.filter { $0.0.kind != .blockDevice && $0.0.kind != .characterDevice }
    try run(
      [Self.tar, "--xattrs", "--xattrs-include=user.*", "-pxf", "-"], input: try archive(entries).bytes, in: root)
    let directory = try Directory(root)
    for (entry, data) in entries {
      let status = try #require(try directory.status(entry.path), "\(entry.path)")
      #expect(status.uid == entry.uid || entry.kind == .hardLink)
      if entry.kind == .regular {
        #expect(status.mode == entry.mode)
        #expect(status.mtime == entry.mtime, "\(entry.path)")
        #expect(try directory.open(entry.path).readAll() == data)
      }
      if entry.kind == .symlink { #expect(try directory.readLink(entry.path) == entry.linkTarget) }
    }
    let attributes = TreePath(clamping: "attributes")
    if try !directory.attributeNames(attributes).isEmpty {
      #expect(try directory.attribute(attributes, "user.a=b%") == Array("x=\n1".utf8))
    }
    let listing = String(decoding: try run([Self.tar, "tvf", "-"], input: bytes), as: UTF8.self)
    #expect(listing.split(separator: "\n").count == sampleEntries.count)
    #expect(listing.contains("brw-r--r-- 1/2        8,1048575"))
  }
}
