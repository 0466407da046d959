import Core
import FileTree
import Linux
import Testing

/// Indexes of layers with very many entries.
@Suite(.enabled(if: Machine.effectiveUserID == 0, "mounts: needs root")) struct LayerIndexScaleTests {
  #if DEBUG
  private let perDirectory = 100
  #else
  /// A million in all.
  private let perDirectory = 1000
  #endif

  @Test func aThousandDirectories() throws {
    let builder = LayerIndexBuilder()
    var at: Int64 = 0
    for directory in 0..<1000 {
      let parent = TreePath(clamping: "usr/share/directory\(directory)")
      try builder.add(
        TarMember(entry: TarEntry(path: parent, kind: .directory, mode: 0o755), headerOffset: at, dataOffset: at + 512))
      at += 512
      for file in 0..<perDirectory {
        let entry = TarEntry(path: parent.child("file\(file)"), kind: .regular, mode: 0o644, size: Int64(file))
        try builder.add(TarMember(entry: entry, headerOffset: at, dataOffset: at + 512))
        at += 512 + (entry.size + 511) / 512 * 512
      }
    }
    let folder = try temporaryDirectory()
    defer { try? HostPath.removeTree(folder) }
    try OpenFile(folder + "/tar", .create).truncate(to: at)
    let tree = try builder.finish(tarSize: at)
    try ErofsWriter.write(tree, devices: [at], into: OpenFile(folder + "/index", .create))
    let size = try OpenFile(folder + "/index").status().size
    // 64 bytes of inode, 12 and a name in the directory.
    #expect(size < Int64(1003 + 1000 * perDirectory) * 90 + 600_000)
    let mount = try ErofsMount.open(index: folder + "/index", devices: [folder + "/tar"])
    let root = try Directory("/proc/self/fd/\(mount.descriptor)")
    for directory in [0, 500, 999] {
      let inner = try root.directory(TreePath(clamping: "usr/share/directory\(directory)"))
      #expect(try inner.entries().count == perDirectory)
      for file in [0, 1, perDirectory / 2, perDirectory - 1] {
        #expect(try inner.status(TreePath(clamping: "file\(file)"))?.size == Int64(file))
      }
      #expect(try inner.status(TreePath(clamping: "file\(perDirectory)")) == nil)
    }
  }
}
