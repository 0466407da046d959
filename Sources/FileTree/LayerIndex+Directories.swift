internal import Core
public import Linux

extension LayerIndex {
  /// A name in a directory.
  public struct Entry: Sendable {
    public var name: [UInt8]
    /// The number of its inode.
    public var inode: UInt64
    /// The kind that the directory says; the inode says it again.
    public var kind: FileStatus.Kind
  }

  /// The entry `name` of `directory`, nil if there is none: by halving over its blocks, then within one.
  public func lookup(_ name: [UInt8], in directory: Inode) throws -> Entry? {
    guard directory.kind == .directory else { throw image.damaged("inode \(directory.number) is no directory") }
    var low = 0
    var high = blockCount(directory)
    // The last block whose first name is not after `name`.
    while high - low > 1 {
      let middle = (low + high) / 2
      let block = try EntryBlock(dataBlock(middle, of: directory), self)
      if try EntryBlock.compare(block.name(0), name) <= 0 { low = middle } else { high = middle }
    }
    if high == 0 { return nil }
    let block = try EntryBlock(dataBlock(low, of: directory), self)
    var first = 0
    var last = block.count
    while first < last {
      let middle = (first + last) / 2
      let order = try EntryBlock.compare(block.name(middle), name)
      if order == 0 { return try block.entry(middle) }
      if order < 0 { first = middle + 1 } else { last = middle }
    }
    return nil
  }

  /// The entries of `directory` without `.` and `..`, sorted by the bytes of their names.
  public func entries(_ directory: Inode) throws -> [Entry] {
    guard directory.kind == .directory else { throw image.damaged("inode \(directory.number) is no directory") }
    var out: [Entry] = []
    for number in 0..<blockCount(directory) {
      let block = try EntryBlock(dataBlock(number, of: directory), self)
      for position in 0..<block.count {
        let entry = try block.entry(position)
        if entry.name == [46] || entry.name == [46, 46] { continue }
        // Order and uniqueness are what look-ups and merging rely on.
        if let last = out.last, !last.name.lexicographicallyPrecedes(entry.name) {
          throw image.damaged("the names of directory \(directory.number) are not in order")
        }
        out.append(entry)
      }
    }
    return out
  }
}

/// One block of a directory: entries of 12 bytes, {inode u64, place of the name u16, kind u8, 0}, then their names.
private struct EntryBlock {
  private let bytes: UnsafeRawBufferPointer
  private let index: LayerIndex
  let count: Int

  init(_ bytes: UnsafeRawBufferPointer, _ index: LayerIndex) throws {
    self.bytes = bytes
    self.index = index
    guard bytes.count > ErofsFormat.direntSize else { throw index.image.damaged("a directory is cut") }
    let first = EntryBlock.place(bytes, 0)
    guard first >= ErofsFormat.direntSize, first % ErofsFormat.direntSize == 0, first < bytes.count else {
      throw index.image.damaged("a directory is malformed")
    }
    count = first / ErofsFormat.direntSize
  }

  private static func place(_ bytes: UnsafeRawBufferPointer, _ position: Int) -> Int {
    let at = position * ErofsFormat.direntSize + 8
    return Int(bytes[at]) | Int(bytes[at + 1]) << 8
  }

  /// The name of the entry `position`, below `count`: up to the next one's, the last up to a NUL or the end.
  func name(_ position: Int) throws -> UnsafeRawBufferPointer {
    let start = EntryBlock.place(bytes, position)
    let end: Int
    if position + 1 < count {
      end = EntryBlock.place(bytes, position + 1)
    } else {
      end = start < bytes.count ? bytes[start...].firstIndex(of: 0) ?? bytes.count : start
    }
    guard start < end, end <= bytes.count, end - start <= ErofsFormat.maximumName,
      start >= count * ErofsFormat.direntSize
    else { throw index.image.damaged("a name in a directory is malformed") }
    return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
  }

  func entry(_ position: Int) throws -> LayerIndex.Entry {
    let at = position * ErofsFormat.direntSize
    let name = try Array(name(position))
    guard let kind = ErofsFormat.kind(ofEntryType: bytes[at + 10]), !name.contains(UInt8(ascii: "/")),
      !name.contains(0)
    else { throw index.image.damaged("an entry of a directory is malformed") }
    let inode = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    return LayerIndex.Entry(name: name, inode: inode, kind: kind)
  }

  /// Below 0, 0 or above as `a` stands before, at or after `b` by its bytes.
  static func compare(_ a: UnsafeRawBufferPointer, _ b: [UInt8]) -> Int {
    b.withUnsafeBytes { b in
      let count = min(a.count, b.count)
      var i = 0
      while i < count {
        if a[i] != b[i] { return a[i] < b[i] ? -1 : 1 }
        i += 1
      }
      return a.count - b.count
    }
  }
}

extension ErofsFormat {
  /// The kind that the file_type of a directory entry says, nil if none.
  static func kind(ofEntryType type: UInt8) -> FileStatus.Kind? {
    switch type {
    case 1: .regular
    case 2: .directory
    case 3: .characterDevice
    case 4: .blockDevice
    case 5: .fifo
    case 6: .socket
    case 7: .symlink
    default: nil
    }
  }
}
