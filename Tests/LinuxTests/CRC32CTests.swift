import Testing

@testable import Linux

@Suite struct CRC32CTests {
  /// RFC 3720, appendix B.4, and the usual check value.
  @Test func knownValues() {
    let known: [([UInt8], UInt32)] = [
      ([], 0), (Array("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 0xff, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
    ]
    for (bytes, sum) in known {
      #expect(bytes.withUnsafeBytes { CRC32C.of($0) } == sum)
      #expect(bytes.withUnsafeBytes { CRC32C.portable($0) } == sum)
    }
  }

  @Test func piecesGiveTheSameSum() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    let whole = bytes.withUnsafeBytes { CRC32C.of($0) }
    #expect(whole == bytes.withUnsafeBytes { CRC32C.portable($0) })
    for cut in [0, 1, 7, 8, 500, 999, 1000] {
      var sum = CRC32C()
      bytes[..<cut].withUnsafeBytes { sum.update($0) }
      bytes[cut...].withUnsafeBytes { sum.update($0) }
      #expect(sum.value == whole)
    }
  }

  @Test func trailersAreReadBack() {
    let trailer = IndexTrailer(checksum: 0xDEAD_BEEF, fileSize: 1 << 40)
    #expect(trailer.bytes.count == IndexTrailer.size)
    #expect(IndexTrailer(trailer.bytes) == trailer)
    var other = trailer.bytes
    other[8] = 2
    #expect(IndexTrailer(other) == nil)
    #expect(IndexTrailer(other.dropLast()) == nil)
  }
}
