import Core
import FileTree
import Linux
import Testing

@Suite struct LayerIndexReadingTests {
  private func path(_ text: String) -> TreePath { TreePath(clamping: text) }

  @Test func everythingIsFound() throws {
    let folder = try LayerFolder()
    let bytes = try archive(sampleEntries).bytes
    try folder.add(bytes)
    let layer = try folder.index(0)
    try layer.index.verify()
    let tree = MergedTree([layer])
    for (entry, data) in sampleEntries where entry.kind != .hardLink {
      guard let node = try tree.entry(entry.path) else {
        Issue.record("\(entry.path) is missing")
        continue
      }
      #expect(node.uid == entry.uid && node.gid == entry.gid && node.mtime == entry.mtime, "\(entry.path)")
      #expect(node.kind == .symlink || node.mode == entry.mode, "\(entry.path)")
      #expect(node.kind != .symlink || node.linkTarget == entry.linkTarget, "\(entry.path)")
      #expect(node.deviceMajor == entry.deviceMajor && node.deviceMinor == entry.deviceMinor, "\(entry.path)")
      if entry.kind == .regular { #expect(try tree.open(entry.path).readAll() == data, "\(entry.path)") }
    }
    #expect(try tree.entry(path("no/such/file")) == nil)
  }

  @Test func directoriesOfManyBlocks() throws {
    let folder = try LayerFolder()
    let names = (0..<3000).map { "f\(String($0, radix: 7))-\(String(repeating: "n", count: $0 % 200))" }
    try folder.add(
      try archive(names.map { (TarEntry(path: path("d/" + $0), kind: .regular, mode: 0o644), []) }).bytes)
    let tree = MergedTree([try folder.index(0)])
    #expect(
      try tree.children(path("d")).map { String(decoding: $0.name, as: UTF8.self) }
        == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    for name in names { #expect(try tree.entry(path("d/" + name)) != nil) }
    for name in ["f", "f0", "zzz", "-", "f6666-n"] { #expect(try tree.entry(path("d/" + name)) == nil) }
  }

  @Test func longTargetsAndAttributes() throws {
    let folder = try LayerFolder()
    var entries: [(TarEntry, [UInt8])] = []
    for length in [1, 100, 400, 448, 449, 512, 600, 1024, 4000] {
      var link = TarEntry(path: path("l\(length)"), kind: .symlink, mode: 0o777)
      link.linkTarget = [UInt8](repeating: UInt8(ascii: "t"), count: length)
      entries.append((link, []))
      var file = TarEntry(path: path("x\(length)"), kind: .regular, mode: 0o644, size: 3)
      file.xattrs = [TarEntry.ExtendedAttribute("security.capability", [UInt8](repeating: 7, count: length))]
      entries.append((file, [1, 2, 3]))
    }
    // The kernel would not set capabilities like these.
    try folder.add(try archive(entries).bytes, unpacks: false)
    let tree = MergedTree([try folder.index(0)])
    for (entry, data) in entries {
      let node = try tree.entry(entry.path)
      #expect(node?.linkTarget == entry.linkTarget)
      #expect(node?.xattrs == entry.xattrs)
      if entry.kind == .regular { #expect(try tree.open(entry.path).readAll() == data) }
    }
  }

  @Test func aTarOfAnotherSizeIsRefused() throws {
    let folder = try LayerFolder()
    try folder.add(try archive(sampleEntries).bytes)
    let index = try LayerIndex(path: "\(folder.path)/0/index")
    try HostPath.write([1, 2, 3], to: "\(folder.path)/short")
    #expect(throws: Failure.self) { try IndexLayer(index, tars: ["\(folder.path)/short"]) }
    #expect(throws: Failure.self) { try IndexLayer(index, tars: ["\(folder.path)/none"]) }
    #expect(throws: Failure.self) { try IndexLayer(index, tars: []) }
  }

  /// Damage may give an error or a wrong answer, but never a trap, an endless loop or a read outside the file.
  @Test func damagedBytesNeverTrap() throws {
    let folder = try LayerFolder()
    var stacks = LayerStacks(seed: 7)
    try folder.add(try stacks.layer(60))
    let whole = try HostPath.read("\(folder.path)/0/index")
    let file = "\(folder.path)/damaged"
    var refused = 0
    for round in 0..<1500 {
      var bytes = whole
      for _ in 0...(round % 4) {
        let at = round % 3 == 0 ? 1024 + stacks.next(256) : stacks.next(bytes.count)
        bytes[at] = [0, 0xff, UInt8(stacks.next(256)), bytes[at] ^ 1 << UInt8(stacks.next(8))][stacks.next(4)]
      }
      if round % 10 == 0 { bytes.removeLast(stacks.next(bytes.count)) }
      try HostPath.removeFile(file)
      try OpenFile(file, .create).write(bytes)
      do {
        let layer = try IndexLayer(LayerIndex(path: file), tars: ["\(folder.path)/0/tar"])
        let isSound = (try? layer.index.verify()) != nil
        #expect(bytes == whole || !isSound)
        _ = try mergedIndex(of: [layer], isBottom: true)
        try walk(MergedTree([layer]))
      } catch is Failure {
        refused += 1
      } catch is SystemError {
        refused += 1
      }
    }
    #expect(refused > 100)
  }

  /// Reads everything of `tree`, at most 20 directories deep.
  private func walk(_ tree: MergedTree) throws {
    var pending = [TreePath.root]
    var count = 0
    while let folder = pending.popLast(), count < 5000 {
      for child in try tree.children(folder) {
        count += 1
        let path = folder.child(child.name)
        _ = try tree.entry(path)
        if child.node.kind == .regular { _ = try? tree.open(path).readAll(limit: 1 << 20) }
        if child.node.kind == .directory, path.components.count < 20 { pending.append(path) }
      }
    }
  }
}
