/// The last 512 bytes of an index file: by them damage and truncation are found.
///
/// `STAVEIDX`, version (4 bytes), CRC-32C of all bytes before the trailer (4), size of the file with the trailer (8),
/// then zeros; numbers in little endian. The kernel never reads it.
public struct IndexTrailer: Sendable, Equatable {
  public static let size = 512
  private static let magic: [UInt8] = Array("STAVEIDX".utf8)
  private static let version: UInt32 = 1

  /// CRC-32C of all bytes before the trailer.
  public var checksum: UInt32
  /// Bytes of the whole file.
  public var fileSize: Int64

  public init(checksum: UInt32, fileSize: Int64) {
    self.checksum = checksum
    self.fileSize = fileSize
  }

  /// Parses the last 512 bytes of a file; nil if they are no trailer, or one of another version.
  public init?(_ bytes: some Collection<UInt8>) {
    let all = Array(bytes)
    guard all.count == IndexTrailer.size, all.starts(with: IndexTrailer.magic) else { return nil }
    func number(_ at: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(all[at + $1]) << (8 * UInt64($1)) }
    }
    guard number(8, 4) == IndexTrailer.version, all[24...].allSatisfy({ $0 == 0 }),
      let fileSize = Int64(exactly: number(16, 8))
    else { return nil }
    self.init(checksum: UInt32(number(12, 4)), fileSize: fileSize)
  }

  /// The 512 bytes.
  public var bytes: [UInt8] {
    var out = IndexTrailer.magic
    func append(_ value: UInt64, _ count: Int) {
      for i in 0..<count { out.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(i)))) }
    }
    append(UInt64(IndexTrailer.version), 4)
    append(UInt64(checksum), 4)
    append(UInt64(bitPattern: fileSize), 8)
    return out + [UInt8](repeating: 0, count: IndexTrailer.size - out.count)
  }
}
