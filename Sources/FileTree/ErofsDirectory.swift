/// Adds up the size of a directory as its names come: blocks of 512 bytes, none of them crossed by an entry.
struct ErofsDirectorySize {
  private(set) var blocks = 0
  /// Bytes in the last block.
  private(set) var used = 0

  /// Takes an entry with a name of `length` bytes; returns whether it begins a block.
  @discardableResult
  mutating func add(_ length: Int) -> Bool {
    let size = ErofsFormat.direntSize + length
    if blocks > 0, used + size <= ErofsFormat.blockSize {
      used += size
      return false
    }
    blocks += 1
    used = size
    return true
  }

  /// The size of the directory as a file.
  var total: Int { (blocks - 1) * ErofsFormat.blockSize + used }
}

/// The entries of one directory: dirents with numbers, types and the places of names, then the names.
struct ErofsDirectory {
  private struct Entry {
    var number: UInt32
    var type: UInt8
    /// The name in the bytes of the tree; for `.` and `..` their length, negative.
    var name: Int
  }

  private var entries: [Entry] = []
  private var size = ErofsDirectorySize()

  /// Calls `body` for `.`, `..` and `edges` (sorted), all in the order of their names, with the length of the name and
  /// the number of the edge: -1 for `.`, -2 for `..`.
  static func forEachName(_ edges: some Collection<UInt32>, _ tree: IndexTree, _ body: (Int, Int) throws -> Void)
    rethrows
  {
    var dots = 0
    for edge in edges {
      let start = Int(tree.edges[Int(edge)].name)
      let length = Int(tree.bytes[start])
      while dots < 2, dotsPrecede(dots + 1, tree, start, length) {
        dots += 1
        try body(dots, -dots)
      }
      try body(length, Int(edge))
    }
    while dots < 2 {
      dots += 1
      try body(dots, -dots)
    }
  }

  /// Whether `count` dots stand before the name at `start`.
  private static func dotsPrecede(_ count: Int, _ tree: IndexTree, _ start: Int, _ length: Int) -> Bool {
    for i in 0..<count {
      if i == length { return false }
      let byte = tree.bytes[start + 1 + i]
      if byte != UInt8(ascii: ".") { return byte > UInt8(ascii: ".") }
    }
    return true
  }

  /// Gives the blocks of directory `node` to `body`, in order; the last is given as short as it is.
  mutating func forEachBlock(
    _ node: UInt32, _ edges: some Collection<UInt32>, _ tree: IndexTree, _ layout: ErofsLayout,
    _ body: (UnsafeRawBufferPointer) throws -> Void
  ) rethrows {
    entries.removeAll(keepingCapacity: true)
    size = ErofsDirectorySize()
    try ErofsDirectory.forEachName(edges, tree) { length, edge in
      if size.add(length), !entries.isEmpty { try flush(tree, body, isLast: false) }
      let child = edge == -1 ? node : edge == -2 ? tree.parent(of: node) : tree.edges[edge].node
      entries.append(
        Entry(
          number: layout.numbers[Int(child)], type: ErofsFormat.entryType(ofMode: tree.records[Int(child)].mode),
          name: edge < 0 ? edge : Int(tree.edges[edge].name)))
    }
    try flush(tree, body, isLast: true)
  }

  private mutating func flush(
    _ tree: IndexTree, _ body: (UnsafeRawBufferPointer) throws -> Void, isLast: Bool
  ) rethrows {
    try withUnsafeTemporaryAllocation(byteCount: ErofsFormat.blockSize, alignment: 8) { block in
      block.initializeMemory(as: UInt8.self, repeating: 0)
      var nameAt = entries.count * ErofsFormat.direntSize
      for (i, entry) in entries.enumerated() {
        let at = i * ErofsFormat.direntSize
        block.storeBytes(of: UInt64(entry.number).littleEndian, toByteOffset: at, as: UInt64.self)
        block.storeBytes(of: UInt16(nameAt).littleEndian, toByteOffset: at + 8, as: UInt16.self)
        block.storeBytes(of: entry.type, toByteOffset: at + 10, as: UInt8.self)
        if entry.name < 0 {
          for _ in 0..<(-entry.name) {
            block[nameAt] = UInt8(ascii: ".")
            nameAt += 1
          }
        } else {
          let length = Int(tree.bytes[entry.name])
          tree.bytes.withUnsafeBytes { bytes in
            UnsafeMutableRawBufferPointer(rebasing: block[nameAt..<(nameAt + length)]).copyMemory(
              from: UnsafeRawBufferPointer(rebasing: bytes[(entry.name + 1)..<(entry.name + 1 + length)]))
          }
          nameAt += length
        }
      }
      entries.removeAll(keepingCapacity: true)
      try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(block)[..<(isLast ? nameAt : block.count)]))
    }
  }
}
