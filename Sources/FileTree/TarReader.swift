internal import Core

/// A member as it stands in an archive: its entry and where its bytes are.
public struct TarMember: Sendable, Equatable {
  /// A piece of a sparse file that is not a hole.
  public struct Extent: Sendable, Equatable {
    /// Where it lies in the unpacked file.
    public var offset: Int64
    public var length: Int64
  }

  public var entry: TarEntry
  /// Offset of the member's first header block in the archive, an extension header if it has one.
  public var headerOffset: Int64
  /// Offset of the first byte of its stored data.
  public var dataOffset: Int64
  /// Bytes of stored data, without the padding: `entry.size` unless the file is sparse.
  public var storedSize: Int64
  /// The pieces of a sparse file, which are stored one after the other; nil if the file is stored whole.
  public var extents: [Extent]?

  /// A member whose data, `entry.size` bytes stored whole, begin at `dataOffset`.
  public init(entry: TarEntry, headerOffset: Int64, dataOffset: Int64) {
    self.init(
      entry: entry, headerOffset: headerOffset, dataOffset: dataOffset,
      storedSize: entry.kind == .regular ? entry.size : 0, extents: nil)
  }

  init(entry: TarEntry, headerOffset: Int64, dataOffset: Int64, storedSize: Int64, extents: [Extent]?) {
    self.entry = entry
    self.headerOffset = headerOffset
    self.dataOffset = dataOffset
    self.storedSize = storedSize
    self.extents = extents
  }
}

/// Reads a tar archive from front to back: PAX, GNU, ustar, star and version 7, every byte of it distrusted.
///
/// `next()` gives a member; as a `ByteSource` the reader then gives that member's data, holes as zeros. Names that
/// contain `..` are refused, leading slashes dropped. Not safe for use from two threads at once.
public final class TarReader: ByteSource {
  private let input: TarInput
  private var global = TarExtensions()
  private var member: TarMember?
  /// Stored bytes of the current member that are not read yet.
  private var remaining: Int64 = 0
  /// Position in the unpacked file, and the extent at or after it.
  private var at: Int64 = 0
  private var extent = 0
  private var isAtEnd = false

  public init(_ source: ByteSource) { input = TarInput(source) }

  /// Bytes of the archive taken so far.
  public var position: Int64 { input.offset }

  /// The next member, or nil after the last. What was not read of the member before is passed over.
  public func next() throws -> TarMember? {
    if isAtEnd { return nil }
    try skipRest()
    let start = input.offset
    var extensions = global
    var longName: [UInt8]?
    var longLink: [UInt8]?
    while true {
      let offset = input.offset
      guard let bytes = try input.block() else {
        isAtEnd = true
        if offset != start { throw Failure("read archive", "it ends after an extension header") }
        return nil
      }
      if TarBlock.isZero(bytes) {
        isAtEnd = true
        guard offset == start, try input.block().map(TarBlock.isZero) ?? true else {
          throw Failure("read archive", "the block of zeros at byte \(offset) is not its end")
        }
        return nil
      }
      let block = try TarBlock(bytes, at: offset)
      switch block.type {
      case UInt8(ascii: "x"), UInt8(ascii: "X"): try extensions.addRecords(body(block))
      case UInt8(ascii: "g"):
        let data = try body(block)
        try global.addGlobalRecords(data)
        try extensions.addGlobalRecords(data)
      case UInt8(ascii: "L"): longName = try TarExtensions.longText(body(block))
      case UInt8(ascii: "K"): longLink = try TarExtensions.longText(body(block))
      default:
        // PAX wins over GNU, whichever comes first.
        extensions.path = extensions.path ?? longName
        extensions.link = extensions.link ?? longLink
        return try begin(block, extensions, start)
      }
    }
  }

  /// Reads the current member's data, holes as zeros; 0 at its end.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let member else { return 0 }
    guard let extents = member.extents else { return try readStored(into: buffer) }
    let size = member.entry.size
    while extent < extents.count, at >= extents[extent].offset + extents[extent].length { extent += 1 }
    let end = extent < extents.count ? extents[extent].offset + extents[extent].length : size
    let isHole = extent == extents.count || at < extents[extent].offset
    let limit = isHole && extent < extents.count ? extents[extent].offset : end
    var count = Int(min(Int64(buffer.count), limit - at))
    if count == 0 { return 0 }
    let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    if isHole {
      piece.initializeMemory(as: UInt8.self, repeating: 0)
    } else {
      count = try readStored(into: piece)
    }
    at += Int64(count)
    return count
  }

  /// Reads the current member's stored data, the extents of a sparse file one after the other; 0 at their end.
  /// Not to be mixed with `read(into:)` within one member.
  public func readStored(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let room = Int(min(Int64(buffer.count), remaining))
    if room == 0 { return 0 }
    let count = try input.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
    remaining -= Int64(count)
    return count
  }

  /// Takes what follows the end of the archive up to the end of its source, so that a hash of the source is whole.
  public func drain() throws {
    try skipRest()
    isAtEnd = true
    try input.drain()
  }

  private func skipRest() throws {
    guard let member else { return }
    try input.skip(remaining + Int64(TarHeader.padding(member.dataOffset + member.storedSize)))
    remaining = 0
    self.member = nil
  }

  /// The data of an extension header.
  private func body(_ block: TarBlock) throws -> [UInt8] {
    guard block.size <= TarExtensions.maximumHeader else {
      throw Failure("read archive", "an extension header of \(block.size) bytes is too large")
    }
    let data = try input.bytes(Int(block.size))
    try input.skip(Int64(TarHeader.padding(block.size)))
    return data
  }

  private func begin(_ block: TarBlock, _ extensions: TarExtensions, _ start: Int64) throws -> TarMember {
    var rawPath = extensions.sparse.name ?? extensions.path ?? block.path
    let kind = try TarReader.kind(block, rawPath)
    if rawPath.last == UInt8(ascii: "/") && kind != .directory { rawPath.removeLast() }
    var entry = TarEntry(
      path: try TarReader.path(rawPath), kind: kind, mode: try block.mode(),
      uid: try extensions.uid ?? block.uid(), gid: try extensions.gid ?? block.gid(),
      mtime: try extensions.mtime ?? Timestamp(seconds: block.mtime()), xattrs: extensions.xattrs)
    if entry.path.isRoot && kind != .directory {
      throw Failure("read archive", "the header at byte \(start) has no name")
    }
    if kind == .symlink || kind == .hardLink {
      entry.linkTarget = extensions.link ?? block.link
      if kind == .hardLink { entry.linkTarget = try TarReader.path(entry.linkTarget).bytes }
      guard !entry.linkTarget.isEmpty else { throw Failure("read archive", "\(entry.path) is a link to nothing") }
    }
    if kind == .characterDevice || kind == .blockDevice {
      entry.deviceMajor = try block.deviceMajor()
      entry.deviceMinor = try block.deviceMinor()
    }
    var stored = kind == .regular ? extensions.size ?? block.size : 0
    var extents: [TarMember.Extent]?
    entry.size = stored
    if kind == .regular { extents = try sparseExtents(block, extensions, &entry, &stored) }
    // Keeps every sum of offsets far from overflow.
    guard stored < 1 << 60, entry.size < 1 << 60 else {
      throw Failure("read archive", "\(entry.path) has an impossible size")
    }
    let member = TarMember(
      entry: entry, headerOffset: start, dataOffset: input.offset, storedSize: stored, extents: extents)
    self.member = member
    remaining = stored
    at = 0
    extent = 0
    return member
  }

  private func sparseExtents(
    _ block: TarBlock, _ extensions: TarExtensions, _ entry: inout TarEntry, _ stored: inout Int64
  ) throws -> [TarMember.Extent]? {
    var map: [Int64]
    if block.type == UInt8(ascii: "S") {
      (map, entry.size) = try TarSparse.oldMap(block, input)
    } else if extensions.sparse.isEmpty {
      return nil
    } else {
      map = extensions.sparse.map
      guard let realSize = extensions.sparse.realSize else { throw TarExtensions.malformed("sparse map") }
      entry.size = realSize
      if extensions.sparse.hasMapInData {
        let length: Int64
        (map, length) = try TarSparse.mapInData(input, limit: stored)
        stored -= length
      }
    }
    return try TarSparse.extents(map, realSize: entry.size, storedSize: stored)
  }

  private static func kind(_ block: TarBlock, _ path: [UInt8]) throws -> TarEntry.Kind {
    switch block.type {
    case 0: path.last == UInt8(ascii: "/") ? .directory : .regular
    case UInt8(ascii: "0"), UInt8(ascii: "7"), UInt8(ascii: "S"): .regular
    case UInt8(ascii: "1"): .hardLink
    case UInt8(ascii: "2"): .symlink
    case UInt8(ascii: "3"): .characterDevice
    case UInt8(ascii: "4"): .blockDevice
    case UInt8(ascii: "5"): .directory
    case UInt8(ascii: "6"): .fifo
    default:
      throw Failure(
        "read archive", "member \(String(decoding: path, as: UTF8.self)) is of the unknown type \(block.type)")
    }
  }

  private static func path(_ raw: [UInt8]) throws -> TreePath {
    guard let path = TreePath(strict: raw) else {
      throw Failure("read archive", "member \"\(String(decoding: raw, as: UTF8.self))\" leads out of the archive")
    }
    return path
  }
}
