import Core
import FileTree
import Linux
import Testing

@Suite struct ForeignArchiveTests {
  private func withFile(_ bytes: [UInt8], _ body: (OpenFile) throws -> Void) throws {
    let root = try temporaryDirectory()
    defer { try? HostPath.removeTree(root) }
    try HostPath.write(bytes, to: root + "/file")
    try body(try OpenFile(root + "/file"))
  }

  @Test(arguments: ["cat", "gzip", "bzip2", "xz", "zstd"]) func knowsAndReadsCompressedTars(_ program: String) throws {
    guard let path = which(program) else { return }
    func packed(_ bytes: [UInt8]) throws -> [UInt8] {
      try run(program == "cat" ? [path] : [path, "-c"], input: bytes)
    }
    try withFile(try packed(archive(sampleEntries).bytes)) { file in
      #expect(try ForeignArchive.isArchive(FilePart(file)))
      var read: [(TarEntry, [UInt8])] = []
      try ForeignArchive.entries(from: FilePart(file)) { read.append(($0, try $1.bytes(limit: 1 << 20) ?? [])) }
      #expect(read.map(\.0) == sampleEntries.map(\.0))
      #expect(read.map(\.1) == sampleEntries.map(\.1))
    }
    try withFile(try packed(Array("no archive, but long enough\n".utf8))) { file in
      let isArchive = try ForeignArchive.isArchive(FilePart(file))
      #expect(!isArchive)
    }
  }

  @Test func otherContentIsNoArchive() throws {
    let noise: [UInt8] = (0..<2000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for bytes in [
      [], [0x1f, 0x8b], [0x1f, 0x8b, 8, 0] + noise, Array("BZh9".utf8) + noise, noise,
      [UInt8](repeating: 0, count: 2048), Array("PK\u{3}\u{4}".utf8) + noise,
      [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] + noise,
      [0x28, 0xb5, 0x2f, 0xfd] + noise,
    ] {
      try withFile(bytes) { file in
        let isArchive = try ForeignArchive.isArchive(FilePart(file))
        #expect(!isArchive, "\(bytes.prefix(8))")
      }
    }
  }

  @Test func aDamagedArchiveFailsByName() throws {
    try withFile(Array(try archive(sampleEntries).bytes.prefix(2000))) { file in
      #expect(try ForeignArchive.isArchive(FilePart(file)))
      do {
        try ForeignArchive.entries(from: FilePart(file)) { _, _ in }
        Issue.record("it was read")
      } catch let failure as Failure {
        #expect(failure.action == "read archive \(file.path)")
      }
    }
  }
}
