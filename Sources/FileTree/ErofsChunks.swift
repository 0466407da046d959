/// How a regular file's data are cut into chunks of one size, each of them contiguous on a device or a hole.
struct ErofsChunks {
  /// Chunks have `512 << bits` bytes; the last may be shorter.
  let bits: Int
  let count: Int

  /// The largest chunks for a file of `size` bytes with its data in `extents` (ascending, apart, inside it). Nil if
  /// there are none: a piece does not begin and end at multiples of 512, or the chunks would be too many.
  init?(size: Int64, _ extents: some Collection<IndexTree.Extent>) {
    if size == 0 {
      bits = 0
      count = 0
      return
    }
    var bits = ErofsChunks.covering(size)
    var last: IndexTree.Extent?
    for extent in extents {
      guard extent.start % Int64(ErofsFormat.blockSize) == 0 else { return nil }
      let end = extent.offset + extent.length
      if let last, last.offset + last.length == extent.offset, last.start + last.length == extent.start,
        last.device == extent.device
      {
        // It only goes on: no border is here.
      } else {
        bits = min(bits, ErofsChunks.alignment(extent.offset))
      }
      if end < size { bits = min(bits, ErofsChunks.alignment(end)) }
      last = extent
    }
    guard bits >= 0 else { return nil }
    let chunk = Int64(ErofsFormat.blockSize) << Int64(bits)
    let count = (size - 1) / chunk + 1
    guard count <= ErofsFormat.maximumChunks else { return nil }
    self.bits = bits
    self.count = Int(count)
  }

  /// Calls `take` for each chunk of the file `record` with its device and its block there; nil for a hole.
  func forEach(
    _ tree: IndexTree, _ record: IndexTree.Record, _ take: ((device: Int, block: UInt32)?) throws -> Void
  ) rethrows {
    let chunk = Int64(ErofsFormat.blockSize) << Int64(bits)
    let isSparse = record.isSparse
    var piece = Int(record.head)
    let end = piece + Int(record.count)
    for number in 0..<count {
      let at = Int64(number) * chunk
      if !isSparse {
        try take((Int(record.device), UInt32(truncatingIfNeeded: (record.start + at) / Int64(ErofsFormat.blockSize))))
        continue
      }
      while piece < end, tree.pieces[piece].offset + tree.pieces[piece].length <= at { piece += 1 }
      guard piece < end, tree.pieces[piece].offset <= at else {
        try take(nil)
        continue
      }
      let start = tree.pieces[piece].start + at - tree.pieces[piece].offset
      try take((tree.pieces[piece].device, UInt32(truncatingIfNeeded: start / Int64(ErofsFormat.blockSize))))
    }
  }

  /// The smallest bits with which one chunk covers `size` bytes, if there are any.
  private static func covering(_ size: Int64) -> Int {
    let blocks = UInt64((size - 1) / Int64(ErofsFormat.blockSize))
    return min(64 - blocks.leadingZeroBitCount, ErofsFormat.maximumChunkBits)
  }

  /// The largest bits with which `offset` is a border of chunks, negative if there are none.
  private static func alignment(_ offset: Int64) -> Int {
    offset == 0 ? 62 : offset.trailingZeroBitCount - ErofsFormat.blockBits
  }
}
