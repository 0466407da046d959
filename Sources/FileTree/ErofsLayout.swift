internal import Core

/// Where everything of an index stands in its file: superblock and devices, then inodes with what is inline, then the
/// blocks of directories and links, then the trailer.
///
/// Inodes stand level by level, those of one directory together, so that the root has a small number.
struct ErofsLayout {
  /// A directory's part of `children`, and the size of its entries as a file.
  struct Directory {
    var first: Int
    var count: Int
    var size: Int
  }

  /// The nodes that have a name, in the order of their inodes.
  private(set) var order: ContiguousArray<UInt32> = [0]
  /// The numbers of the inodes, by node: their offset in units of 32 bytes, 0 for nodes without a name.
  private(set) var numbers: ContiguousArray<UInt32>
  /// The edges of all directories, sorted by name, directory by directory in `order`.
  private(set) var children: ContiguousArray<UInt32> = []
  private(set) var directories: ContiguousArray<Directory> = []
  /// Whether all devices share one space of block addresses with the image, behind it: then a file in one piece needs
  /// nothing but the address of its first block.
  let isUnified: Bool
  /// Where the inodes begin.
  let inodeStart: Int
  /// The first block behind the inodes.
  private(set) var firstBlock = 0
  /// The number of blocks behind the inodes, without the trailer.
  private(set) var blockCount = 0

  /// Plans the image of `tree`, whose data are in `devices`, given by their sizes. Throws a `Failure` if the format
  /// can't hold it, or if data lie outside of the devices.
  init(_ tree: IndexTree, devices: [Int64]) throws {
    // The root's number has 16 bits.
    guard devices.count <= 16000, devices.allSatisfy({ ErofsFormat.blocks($0) != nil }) else {
      throw Failure("write index", "\(devices.count) tars are too many, or one is too large")
    }
    isUnified = devices.reduce(0) { $0 + ($1 + 511) / 512 } < ErofsFormat.maximumUnified
    inodeStart = ErofsLayout.aligned(
      ErofsFormat.superOffset + ErofsFormat.superSize + devices.count * ErofsFormat.slotSize, ErofsFormat.blockSize)
    numbers = ContiguousArray(repeating: 0, count: tree.records.count)
    try visit(tree)
    var at = inodeStart
    var directory = 0
    for node in order {
      let record = tree.records[Int(node)]
      try ErofsLayout.checkData(record, tree, devices)
      let size = record.isDirectory ? directories[directory].size : 0
      let inode = ErofsInode(record, tree, directorySize: size, isUnified: isUnified)
      if record.isDirectory { directory += 1 }
      let place = inode.place(at: at)
      guard let number = UInt32(exactly: place.start / ErofsFormat.nodeUnit) else { throw IndexTree.tooLarge }
      numbers[Int(node)] = number
      at = place.end
      blockCount += place.blocks
    }
    firstBlock = ErofsLayout.aligned(at, ErofsFormat.blockSize) / ErofsFormat.blockSize
    guard firstBlock + blockCount + 1 < ErofsFormat.maximumUnified else { throw IndexTree.tooLarge }
  }

  /// Where the devices begin in the space of block addresses; 0 for all if they share none.
  func deviceStarts(_ devices: [Int64]) -> [UInt32] {
    var next = Int64(firstBlock + blockCount + 1)
    return devices.map { size in
      defer { next += (size + 511) / 512 }
      return isUnified ? UInt32(next) : 0
    }
  }

  static func aligned(_ value: Int, _ unit: Int) -> Int { (value + unit - 1) / unit * unit }

  /// Finds the nodes that have names, and sorts the directories.
  private mutating func visit(_ tree: IndexTree) throws {
    numbers[0] = 1
    var next = 0
    while next < order.count {
      let node = order[next]
      next += 1
      guard tree.records[Int(node)].isDirectory else { continue }
      let edges = tree.sortedEdges(node)
      var size = ErofsDirectorySize()
      ErofsDirectory.forEachName(edges, tree) { length, _ in size.add(length) }
      directories.append(Directory(first: children.count, count: edges.count, size: size.total))
      children.append(contentsOf: edges)
      for edge in edges {
        let child = tree.edges[Int(edge)].node
        if numbers[Int(child)] == 0 {
          numbers[Int(child)] = 1
          order.append(child)
        } else if tree.records[Int(child)].isDirectory {
          throw Failure("write index", "a directory has two names")
        }
      }
    }
  }

  /// Throws if the data of a regular file are not inside the devices or not aligned.
  private static func checkData(_ record: IndexTree.Record, _ tree: IndexTree, _ devices: [Int64]) throws {
    guard record.isRegular, record.size > 0 else { return }
    var isSound = true
    tree.forEachExtent(record) { extent in
      guard extent.device >= 0, extent.device < devices.count, extent.start >= 0, extent.length >= 0,
        extent.start <= devices[extent.device] - extent.length
      else {
        isSound = false
        return
      }
    }
    guard isSound, tree.chunks(record) != nil else {
      throw Failure("write index", "a file's data are not in the tars, or not aligned")
    }
  }
}

extension IndexTree {
  func forEachExtent(_ record: Record, _ body: (Extent) -> Void) {
    if record.isSparse {
      for i in 0..<Int(record.count) { body(pieces[Int(record.head) + i]) }
    } else {
      body(Extent(offset: 0, device: Int(record.device), start: record.start, length: record.size))
    }
  }

  /// How the data of a regular file are cut; nil if they can't be.
  func chunks(_ record: Record) -> ErofsChunks? {
    if record.isSparse {
      return ErofsChunks(
        size: record.size, pieces[Int(record.count == 0 ? 0 : record.head)...].prefix(Int(record.count)))
    }
    let whole = Extent(offset: 0, device: Int(record.device), start: record.start, length: record.size)
    return ErofsChunks(size: record.size, CollectionOfOne(whole))
  }
}
