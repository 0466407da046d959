internal import Core
internal import Linux

/// ADD of a local archive: its members go below the destination, as tar would unpack them there, with the owners and
/// modes that the archive gives them: as in Docker, `--chown` and `--chmod` are for files that are copied.
extension CopyPlanner {
  /// Plans the members of the archive `path`, the file `node`; false if it is none. Throws if it is not as it was when
  /// it was first seen.
  func unpack(_ path: TreePath, _ node: TreeNode, of view: any TreeView, for action: String) throws -> Bool {
    let file = try view.open(path)
    guard try ForeignArchive.isArchive(file) else { return false }
    let whole = try ensureDirectory(TreePath(clamping: destination), for: action)
    let reader = try TarReader(ForeignArchive.source(file))
    let isPlain = try isPlainTar(file)
    var spool: Spool?
    while let member = try reader.next() {
      var entry = CopyPlan.Entry(entry: member.entry, data: .none, origin: .copied)
      entry.entry.xattrs = entry.entry.xattrs.filter { HostNode.belongsIntoLayer($0.name) }
      if entry.entry.kind == .regular, entry.entry.size > 0 {
        if isPlain, member.extents == nil {
          entry.data = .part(file.slice(from: member.dataOffset, count: entry.entry.size), key: node.contentKey)
        } else {
          let kept = try spool ?? Spool(scratch, for: action)
          spool = kept
          let start = try kept.add(reader, size: entry.entry.size)
          entry.data = .part(FilePart(kept.file, offset: start, length: entry.entry.size), key: nil)
        }
      }
      try addMember(entry, below: whole, for: action)
    }
    guard try file.isStill(node.contentKey) else { throw Failure("read \(path)", "file changed while it was read") }
    return true
  }

  private func isPlainTar(_ file: FilePart) throws -> Bool {
    var first = [UInt8](repeating: 0, count: TarHeader.blockSize)
    let count = try first.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
    return count == first.count && TarBlock.isHeader(first)
  }

  private func addMember(_ member: CopyPlan.Entry, below whole: TreePath, for action: String) throws {
    if member.entry.path.isRoot { return }
    // Links that the archive brings lead nowhere outside the destination: it is their root.
    let parent = try ensureDirectory(place(member.entry.path.parent, below: whole), for: action)
    let target = parent.child(member.entry.path.name)
    var member = member
    member.entry.path = target
    if member.entry.kind == .hardLink {
      let named = TreePath(clamping: member.entry.linkTarget)
      let source = try place(named.parent, below: whole).child(named.name)
      guard let (group, existing) = linkGroup(of: source) else {
        throw Failure(action, "member \(target) is a hard link to \(named), which is no file of the archive")
      }
      member = existing
      member.entry.path = target
      member.linkGroup = group
    }
    // What is in the way goes, but a directory stays for a directory.
    let existing = try node(target)
    let isDirectory = member.entry.kind == .directory
    if let existing, !(isDirectory && existing.kind == .directory) {
      if existing.kind == .directory { removeTree(target) }
      if isDirectory { hideBase(below: target) }
    }
    try put(member, isNew: existing == nil, for: action)
  }

  /// A nameless file for the members of compressed archives.
  private final class Spool {
    let file: OpenFile
    private var end: Int64 = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 64)

    init(_ scratch: Directory?, for action: String) throws {
      guard let scratch else { throw Failure(action, "no directory to unpack it in") }
      let name = TreePath.root.child("archive-\(Machine.random(8).map { String($0, radix: 16) }.joined())")
      file = try scratch.create(name)
      try scratch.removeFile(name)
    }

    deinit { buffer.deallocate() }

    /// Keeps `size` bytes of `source`; returns where they begin.
    func add(_ source: ByteSource, size: Int64) throws -> Int64 {
      let start = end
      while end - start < size {
        let room = Int(min(Int64(buffer.count), size - (end - start)))
        let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
        if count == 0 { throw Failure("read archive", "unexpected end") }
        try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: end)
        end += Int64(count)
      }
      return start
    }
  }
}
