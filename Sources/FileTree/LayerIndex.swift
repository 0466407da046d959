public import Core
public import Linux

/// The reader of an EROFS image that `ErofsWriter` made: names and metadata of one layer, or of a merged stack, and
/// where in its tars the data lie (Linux, fs/erofs/erofs_fs.h; Documentation/filesystems/erofs.rst).
///
/// Every number in the image is distrusted: damage gives a `Failure`, never a trap, an endless loop or a read outside.
/// What is damaged but well-formed is found by the checksum, see `verify()`.
public final class LayerIndex: Sendable {
  /// An inode: metadata, and where the image has the rest.
  public struct Inode: Sendable {
    /// Counts units of 32 bytes.
    public var number: UInt64
    public var kind: FileStatus.Kind
    /// Permission bits with set-uid, set-gid and sticky.
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    /// Bytes of data, a directory's entries or a link's text.
    public var size: Int64
    public var mtime: Timestamp
    public var linkCount: UInt32
    /// Device number, block address or chunk format, by kind and layout.
    var detail: UInt32
    var layout: UInt16
    /// Where the inode itself begins and ends, and the attributes behind it end.
    var start: Int
    var end: Int
    var attributesEnd: Int
  }

  /// Sizes of the tars in bytes, up to a full block of 512, in the order of the device table.
  public let devices: [Int64]
  /// Where each tar begins in the space of block addresses that all of them share, ascending; 0 for all if they don't.
  let deviceStarts: [UInt32]
  let image: IndexBytes
  /// Where inode 0 would be.
  private let metadataStart: Int
  private let rootNumber: UInt64

  /// Reads the superblock and the device table of `file`.
  public init(_ file: MappedFile) throws {
    image = IndexBytes(file)
    let at = ErofsFormat.superOffset
    guard try image.u32(at) == ErofsFormat.magic else { throw image.damaged("it is no EROFS image") }
    let incompatible = try image.u32(at + 80)
    guard try image.u8(at + 12) == UInt8(ErofsFormat.blockBits),
      incompatible & ~(ErofsFormat.chunkedFile | ErofsFormat.deviceTable) == 0
    else { throw image.damaged("it is not of the form that Stave writes") }
    rootNumber = UInt64(try image.u16(at + 14))
    metadataStart = try Int(image.u32(at + 40)) * ErofsFormat.blockSize
    let count = try Int(image.u16(at + 86))
    let table = try Int(image.u16(at + 88)) * ErofsFormat.slotSize
    let slots = image
    devices = try (0..<count).map {
      try Int64(slots.u32(table + $0 * ErofsFormat.slotSize + 64)) * Int64(ErofsFormat.blockSize)
    }
    deviceStarts = try (0..<count).map { try slots.u32(table + $0 * ErofsFormat.slotSize + 68) }
    guard zip(deviceStarts, deviceStarts.dropFirst()).allSatisfy({ $0 <= $1 }) else {
      throw image.damaged("its tars are out of order")
    }
  }

  /// Maps and reads the image at `path`.
  public convenience init(path: String) throws { try self.init(MappedFile(OpenFile(path))) }

  /// Compares the whole image with the checksum in its trailer. Throws a `Failure` if it is cut or damaged.
  public func verify() throws {
    let bytes = image.bytes
    guard bytes.count > IndexTrailer.size, let trailer = IndexTrailer(bytes.suffix(IndexTrailer.size)),
      trailer.fileSize == Int64(bytes.count)
    else { throw image.damaged("it is not whole") }
    guard CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes.dropLast(IndexTrailer.size))) == trailer.checksum else {
      throw image.damaged("its checksum is wrong")
    }
  }

  /// The root directory.
  public func root() throws -> Inode {
    let inode = try inode(rootNumber)
    guard inode.kind == .directory else { throw image.damaged("its root is no directory") }
    return inode
  }

  /// The inode `number`, as a directory entry names it.
  public func inode(_ number: UInt64) throws -> Inode {
    guard number < UInt64(image.bytes.count / ErofsFormat.nodeUnit) else {
      throw image.damaged("inode \(number) lies outside")
    }
    let at = metadataStart + Int(number) * ErofsFormat.nodeUnit
    let format = try image.u16(at)
    let mode = try image.u16(at + 4)
    guard let kind = ErofsFormat.kind(ofMode: mode) else { throw image.damaged("inode \(number) is of no kind") }
    let isExtended = format & 1 == ErofsFormat.extended
    let size = isExtended ? try image.u64(at + 8) : UInt64(try image.u32(at + 8))
    guard size < 1 << 60 else { throw image.damaged("inode \(number) has an impossible size") }
    let end = at + (isExtended ? ErofsFormat.inodeSize : ErofsFormat.compactInodeSize)
    let nanoseconds = isExtended ? try image.u32(at + 40) : 0
    guard nanoseconds < 1_000_000_000, format & ~0xf == 0 else { throw image.damaged("inode \(number) is malformed") }
    return Inode(
      number: number, kind: kind, mode: mode & 0o7777,
      uid: isExtended ? try image.u32(at + 24) : UInt32(try image.u16(at + 24)),
      gid: isExtended ? try image.u32(at + 28) : UInt32(try image.u16(at + 26)), size: Int64(size),
      mtime: Timestamp(
        seconds: isExtended ? Int64(bitPattern: try image.u64(at + 32)) : 0, nanoseconds: Int32(nanoseconds)),
      linkCount: isExtended ? try image.u32(at + 44) : UInt32(try image.u16(at + 6)),
      detail: try image.u32(at + 16), layout: format & 0xe, start: at, end: end,
      attributesEnd: end + ErofsXattrs.size(count: Int(try image.u16(at + 2))))
  }

  /// The extended attributes of `inode`, in the order of the image.
  public func attributes(_ inode: Inode) throws -> [TarEntry.ExtendedAttribute] {
    if inode.attributesEnd == inode.end { return [] }
    let count = try image.range(inode.start + 2, 2)
    let list = try image.range(inode.end, inode.attributesEnd - inode.end)
    guard let out = ErofsXattrs.decode(Array(count) + Array(list)) else {
      throw image.damaged("the attributes of inode \(inode.number) are malformed")
    }
    return out
  }

  /// The text of the symbolic link `inode`.
  public func linkTarget(_ inode: Inode) throws -> [UInt8] {
    guard inode.kind == .symlink, inode.size > 0, inode.size <= ErofsFormat.maximumLinkTarget else {
      throw image.damaged("inode \(inode.number) is no symbolic link")
    }
    var out: [UInt8] = []
    for block in 0..<blockCount(inode) { out.append(contentsOf: try dataBlock(block, of: inode)) }
    return out
  }

  /// The number of blocks that the data of a link or directory take.
  func blockCount(_ inode: Inode) -> Int { Int((inode.size + 511) / 512) }

  /// The block `number` of a link's or directory's data, which the image itself holds; the last one may be shorter.
  func dataBlock(_ number: Int, of inode: Inode) throws -> UnsafeRawBufferPointer {
    let count = blockCount(inode)
    guard number >= 0, number < count else { throw image.damaged("inode \(inode.number) is cut") }
    let length = number == count - 1 ? Int(inode.size) - number * ErofsFormat.blockSize : ErofsFormat.blockSize
    if inode.layout == ErofsFormat.flatInline, number == count - 1 {
      return try image.range(inode.attributesEnd, length)
    }
    guard inode.layout == ErofsFormat.flatPlain || inode.layout == ErofsFormat.flatInline else {
      throw image.damaged("inode \(inode.number) has its data elsewhere")
    }
    return try image.range((Int(inode.detail) + number) * ErofsFormat.blockSize, length)
  }

  /// Major and minor number of the device node `inode`; 0, 0 of anything else.
  func device(_ inode: Inode) -> (major: UInt32, minor: UInt32) {
    guard inode.kind == .characterDevice || inode.kind == .blockDevice else { return (0, 0) }
    return ErofsFormat.majorMinor(inode.detail)
  }
}

/// The bytes of an image with checked access.
struct IndexBytes: Sendable {
  private let file: MappedFile

  init(_ file: MappedFile) { self.file = file }

  /// All of them. Valid as long as the index lives.
  var bytes: UnsafeRawBufferPointer { file.bytes }

  func u8(_ at: Int) throws -> UInt8 { try number(at) }
  func u16(_ at: Int) throws -> UInt16 { try number(at) }
  func u32(_ at: Int) throws -> UInt32 { try number(at) }
  func u64(_ at: Int) throws -> UInt64 { try number(at) }

  private func number<T: FixedWidthInteger & BitwiseCopyable>(_ at: Int) throws -> T {
    guard at >= 0, at <= file.bytes.count - MemoryLayout<T>.size else { throw damaged("it is cut") }
    return T(littleEndian: file.bytes.loadUnaligned(fromByteOffset: at, as: T.self))
  }

  /// The `count` bytes from `at`. Valid as long as the index lives.
  func range(_ at: Int, _ count: Int) throws -> UnsafeRawBufferPointer {
    guard at >= 0, count >= 0, at <= file.bytes.count, count <= file.bytes.count - at else {
      throw damaged("it is cut")
    }
    return UnsafeRawBufferPointer(rebasing: file.bytes[at..<(at + count)])
  }

  func damaged(_ reason: String) -> Failure { Failure("read index \(file.path)", reason) }
}
