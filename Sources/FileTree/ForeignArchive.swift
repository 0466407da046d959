internal import Core
internal import Linux

/// An archive from elsewhere, as ADD unpacks it: a tar, plain or compressed with gzip, bzip2, xz or zstd.
///
/// libarchive undoes bzip2 and xz. The members are read by `TarReader` and not by libarchive, which turns names into
/// the locale's characters and so loses those that are not ASCII in the C locale.
public enum ForeignArchive {
  /// Whether `file` is such an archive, by its content alone: it begins, decompressed, with a right tar header.
  /// A compressed file of something else is none.
  public static func isArchive(_ file: FilePart) throws -> Bool {
    let first = try head(file.source())
    if TarBlock.isHeader(first) { return true }
    guard isCompressed(first) else { return false }
    // A truncated or damaged compressed file is not an archive: it is copied as it is.
    guard let source = try? source(file), let plain = try? head(source) else { return false }
    return TarBlock.isHeader(plain)
  }

  /// Calls `body` with each member of the archive `file` and the source of its data, in their order in the archive.
  /// Throws a `Failure` if the archive is damaged.
  public static func entries(from file: FilePart, _ body: (TarEntry, ByteSource) throws -> Void) throws {
    let reader = try TarReader(source(file))
    do {
      while let member = try reader.next() { try body(member.entry, reader) }
    } catch let failure as Failure where failure.action == "read archive" {
      throw Failure("read archive \(file.file.path)", failure.reason)
    }
  }

  /// The plain tar of `file`.
  public static func source(_ file: FilePart) throws -> ByteSource {
    let plain = file.source()
    return isForeign(try head(file.source())) ? try FilteredSource(plain, file.file.path) : try Decompressor(plain)
  }

  private static func head(_ source: ByteSource) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: TarHeader.blockSize) { buffer, count in
      count = try source.fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<512]))
    }
  }

  private static func isCompressed(_ first: [UInt8]) -> Bool {
    Compression(firstBytes: first) != .none || isForeign(first)
  }

  /// Whether the magic is that of bzip2 or xz.
  private static func isForeign(_ first: [UInt8]) -> Bool {
    first.starts(with: "BZh".utf8) || first.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])
  }
}
