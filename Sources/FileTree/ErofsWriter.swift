internal import Linux

/// Writes an `IndexTree` as an EROFS image without data: what the kernel mounts together with the tars.
///
/// The bytes depend on the tree and the sizes alone. Blocks are 512 bytes; the last block is an `IndexTrailer`.
public enum ErofsWriter {
  /// Writes the image of `tree` to `sink`. `devices` are the sizes in bytes of the tars that its extents name, in their
  /// order. Throws a `Failure` if the format can't hold it.
  public static func write(_ tree: IndexTree, devices: [Int64], into sink: ByteSink) throws {
    let layout = try ErofsLayout(tree, devices: devices)
    let output = ErofsOutput(sink)
    let starts = layout.deviceStarts(devices)
    let head = superblock(tree, layout, devices, starts)
    try head.withUnsafeBytes { try output.put($0) }
    try putInodes(tree, layout, starts, output)
    try putBlocks(tree, layout, output)
    try output.finish()
  }

  // MARK: Superblock

  /// The file up to the first inode.
  private static func superblock(
    _ tree: IndexTree, _ layout: ErofsLayout, _ devices: [Int64], _ starts: [UInt32]
  ) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: layout.inodeStart)
    func put<T: FixedWidthInteger>(_ value: T, _ at: Int) {
      out.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self) }
    }
    let start = ErofsFormat.superOffset
    put(ErofsFormat.magic, start)
    put(ErofsFormat.compatible, start + 8)
    put(UInt8(ErofsFormat.blockBits), start + 12)
    put(UInt16(truncatingIfNeeded: layout.numbers[0]), start + 14)
    put(UInt64(layout.order.count), start + 16)
    put(UInt32(layout.firstBlock + layout.blockCount + 1), start + 36)
    for (i, byte) in identifier(tree, devices).enumerated() { put(byte, start + 48 + i) }
    put(ErofsFormat.chunkedFile | (devices.isEmpty ? 0 : ErofsFormat.deviceTable), start + 80)
    put(UInt16(devices.count), start + 86)
    put(UInt16((start + ErofsFormat.superSize) / ErofsFormat.slotSize), start + 88)
    for (i, size) in devices.enumerated() {
      let slot = start + ErofsFormat.superSize + i * ErofsFormat.slotSize
      put(ErofsFormat.blocks(size) ?? 0, slot + 64)
      put(starts[i], slot + 68)
    }
    // The kernel's checksum of this block is without the final inversion.
    let sum = out.withUnsafeBytes { bytes in
      ~CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + ErofsFormat.blockSize)]))
    }
    put(sum, start + 4)
    return out
  }

  /// A number for the image (a UUID of version 8, RFC 9562): overlayfs keeps inode numbers over copy-up only for lower
  /// file systems that have one, each its own.
  private static func identifier(_ tree: IndexTree, _ devices: [Int64]) -> [UInt8] {
    let sums = [
      tree.records.withUnsafeBytes { CRC32C.of($0) }, tree.edges.withUnsafeBytes { CRC32C.of($0) },
      tree.bytes.withUnsafeBytes { CRC32C.of($0) },
      devices.withUnsafeBytes { CRC32C.of($0) } ^ tree.pieces.withUnsafeBytes { CRC32C.of($0) },
    ]
    var out = sums.flatMap { sum in (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt32($0))) } }
    out[6] = out[6] & 0x0f | 0x80
    out[8] = out[8] & 0x3f | 0x80
    return out
  }

  // MARK: Inodes

  private static func putInodes(
    _ tree: IndexTree, _ layout: ErofsLayout, _ starts: [UInt32], _ output: ErofsOutput
  ) throws {
    var directory = 0
    var content = ErofsDirectory()
    var block = layout.firstBlock
    for (i, node) in layout.order.enumerated() {
      let record = tree.records[Int(node)]
      var edges = layout.children[0..<0]
      var directorySize = 0
      if record.isDirectory {
        let place = layout.directories[directory]
        edges = layout.children[place.first..<(place.first + place.count)]
        directorySize = place.size
        directory += 1
      }
      let inode = ErofsInode(record, tree, directorySize: directorySize, isUnified: layout.isUnified)
      let place = inode.place(at: output.position)
      try output.pad(to: place.start)
      var address = place.blocks > 0 ? UInt32(block) : 0
      if record.isRegular, record.size > 0, inode.chunkSize == 0 {
        address = starts[Int(record.device)] + UInt32(record.start / Int64(ErofsFormat.blockSize))
      }
      try put(record, inode, place, tree, address: address, ordinal: i + 1, output)
      if place.isInline {
        if record.isDirectory {
          try content.forEachBlock(node, edges, tree, layout) { bytes in
            if bytes.count < ErofsFormat.blockSize { try output.put(bytes) }
          }
        } else {
          try putText(record, tree, output)
        }
      }
      block += place.blocks
    }
    try output.pad(to: layout.firstBlock * ErofsFormat.blockSize)
  }

  /// One inode with its attributes and chunks.
  private static func put(
    _ record: IndexTree.Record, _ inode: ErofsInode, _ place: ErofsInode.Place, _ tree: IndexTree, address: UInt32,
    ordinal: Int, _ output: ErofsOutput
  ) throws {
    let chunks = inode.chunkSize > 0 ? tree.chunks(record) : nil
    let layout =
      chunks != nil ? ErofsFormat.chunkBased : place.isInline ? ErofsFormat.flatInline : ErofsFormat.flatPlain
    try output.put(layout | ErofsFormat.extended)
    try output.put(UInt16(inode.xattrSize == 0 ? 0 : (inode.xattrSize - ErofsXattrs.headerSize) / 4 + 1))
    try output.put(record.mode)
    try output.put(UInt16(0))
    try output.put(record.isRegular ? record.size : Int64(inode.contentSize))
    if let chunks {
      try output.put(UInt32(ErofsFormat.chunkIndexes | UInt16(chunks.bits)))
    } else if ErofsFormat.isDevice(record.mode) {
      try output.put(UInt32(truncatingIfNeeded: record.start))
    } else {
      try output.put(address)
    }
    try output.put(UInt32(truncatingIfNeeded: ordinal))
    try output.put(record.uid)
    try output.put(record.gid)
    try output.put(record.seconds)
    try output.put(record.nanoseconds)
    try output.put(record.links + (record.isDirectory ? 2 : 0))
    try output.put(UInt64(0))
    try output.put(UInt64(0))
    if inode.xattrSize > 0 {
      let start = Int(record.xattrs) + 2
      try tree.bytes.withUnsafeBytes {
        try output.put(UnsafeRawBufferPointer(rebasing: $0[start..<(start + inode.xattrSize)]))
      }
    }
    guard let chunks else { return }
    try output.pad(to: ErofsLayout.aligned(output.position, 8))
    try chunks.forEach(tree, record) { place in
      try output.put(UInt16(0))
      try output.put(UInt16((place?.device ?? -1) + 1))
      try output.put(place?.block ?? ErofsFormat.nullAddress)
    }
  }

  private static func putText(_ record: IndexTree.Record, _ tree: IndexTree, _ output: ErofsOutput) throws {
    try tree.bytes.withUnsafeBytes {
      try output.put(UnsafeRawBufferPointer(rebasing: $0[Int(record.head)..<Int(record.head + record.count)]))
    }
  }

  // MARK: Blocks

  /// The blocks behind the inodes: what of directories and links is not inline, in the order of the inodes.
  private static func putBlocks(_ tree: IndexTree, _ layout: ErofsLayout, _ output: ErofsOutput) throws {
    var directory = 0
    var content = ErofsDirectory()
    for node in layout.order {
      let record = tree.records[Int(node)]
      guard record.isDirectory || record.isSymlink else { continue }
      if record.isSymlink {
        let inode = ErofsInode(record, tree, directorySize: 0, isUnified: layout.isUnified)
        guard !inode.place(at: Int(layout.numbers[Int(node)]) * ErofsFormat.nodeUnit).isInline else { continue }
        try putText(record, tree, output)
      } else {
        let place = layout.directories[directory]
        directory += 1
        let inode = ErofsInode(record, tree, directorySize: place.size, isUnified: layout.isUnified)
        let isInline = inode.place(at: Int(layout.numbers[Int(node)]) * ErofsFormat.nodeUnit).isInline
        if isInline, place.size < ErofsFormat.blockSize { continue }
        let edges = layout.children[place.first..<(place.first + place.count)]
        try content.forEachBlock(node, edges, tree, layout) { bytes in
          if !isInline || bytes.count == ErofsFormat.blockSize { try output.put(bytes) }
        }
      }
      try output.pad(to: ErofsLayout.aligned(output.position, ErofsFormat.blockSize))
    }
  }
}
