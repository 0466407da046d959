/// The shape of one inode: what stands behind it, and how many blocks it needs elsewhere.
struct ErofsInode {
  /// Bytes of its extended attributes.
  let xattrSize: Int
  /// Bytes of chunk indexes; 0 also for a file in one piece of a unified image.
  let chunkSize: Int
  /// Bytes of a directory or of a symbolic link's text.
  let contentSize: Int
  private let isLink: Bool

  /// Where it is put.
  struct Place {
    var start: Int
    var end: Int
    /// Whether the last bytes of its content stand behind it.
    var isInline: Bool
    /// Blocks of content elsewhere.
    var blocks: Int
  }

  init(_ record: IndexTree.Record, _ tree: IndexTree, directorySize: Int, isUnified: Bool) {
    if record.xattrs == 0 {
      xattrSize = 0
    } else {
      let start = Int(record.xattrs)
      xattrSize = ErofsXattrs.size(count: Int(tree.bytes[start]) | Int(tree.bytes[start + 1]) << 8)
    }
    isLink = record.isSymlink
    contentSize = record.isDirectory ? directorySize : record.isSymlink ? Int(record.count) : 0
    let hasChunks = record.isRegular && (record.isSparse || !isUnified)
    chunkSize = hasChunks ? 8 * (tree.chunks(record)?.count ?? 0) : 0
  }

  /// The first place at or after `at`. What stands inline must not cross a block; it moves elsewhere where keeping it
  /// whole would waste a block.
  func place(at: Int) -> Place {
    let start = ErofsLayout.aligned(at, ErofsFormat.nodeUnit)
    let head = ErofsFormat.inodeSize + xattrSize
    if chunkSize > 0 {
      return Place(start: start, end: ErofsLayout.aligned(start + head, 8) + chunkSize, isInline: false, blocks: 0)
    }
    let full = contentSize / ErofsFormat.blockSize
    let tail = contentSize % ErofsFormat.blockSize
    let plain = Place(start: start, end: start + head, isInline: false, blocks: full + (tail > 0 ? 1 : 0))
    // A long link is read through the page cache like a file.
    if tail == 0 || (isLink && full > 0) { return plain }
    let offset = (start + head) % ErofsFormat.blockSize
    if offset + tail <= ErofsFormat.blockSize {
      return Place(start: start, end: start + head + tail, isInline: true, blocks: full)
    }
    let moved = start + ErofsLayout.aligned(ErofsFormat.blockSize - offset, ErofsFormat.nodeUnit)
    guard (moved + head) % ErofsFormat.blockSize + tail <= ErofsFormat.blockSize,
      moved - start + tail < ErofsFormat.blockSize
    else { return plain }
    return Place(start: moved, end: moved + head + tail, isInline: true, blocks: full)
  }
}
