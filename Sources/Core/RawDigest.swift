internal import CCrypto

/// A SHA-256 as its 32 bytes: what is kept of many files, without a text for each.
public struct RawDigest: Sendable, Hashable {
  // The bytes in their order, eight a word, the first lowest.
  private var a: UInt64 = 0
  private var b: UInt64 = 0
  private var c: UInt64 = 0
  private var d: UInt64 = 0

  /// All zeros: no digest of anything.
  public init() {}

  /// The first 32 of `bytes`, which has as many.
  public init(bytes: UnsafeRawBufferPointer) {
    a = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    b = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    c = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    d = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
  }

  /// The SHA-256 of `bytes`.
  public init(hashing bytes: UnsafeRawBufferPointer) {
    var hasher = SHA256Hasher()
    hasher.update(bytes)
    self = hasher.rawDigest()
  }

  /// The SHA-256 of `bytes`.
  public init(hashing bytes: [UInt8]) { self = bytes.withUnsafeBytes { RawDigest(hashing: $0) } }

  /// The four words that the bytes are.
  public var words: (UInt64, UInt64, UInt64, UInt64) { (a, b, c, d) }

  /// Adds the 32 bytes to `out`.
  public func append(to out: inout [UInt8]) {
    withUnsafeBytes(of: (a.littleEndian, b.littleEndian, c.littleEndian, d.littleEndian)) {
      out.append(contentsOf: $0)
    }
  }

  /// Adds the 64 hexadecimal digits to `out`.
  public func appendDigits(to out: inout [UInt8]) {
    withUnsafeBytes(of: (a.littleEndian, b.littleEndian, c.littleEndian, d.littleEndian)) {
      for byte: UInt8 in $0 {
        out.append(RawDigest.digit(byte >> 4))
        out.append(RawDigest.digit(byte & 15))
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
  }

  /// The same as a digest with its text.
  public var digest: Digest {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return Digest(sha256Bytes: bytes)
  }
}

extension SHA256Hasher {
  /// As `digest()`, without its text.
  public func rawDigest() -> RawDigest {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { out in
      finish(into: out)
      return RawDigest(bytes: UnsafeRawBufferPointer(out))
    }
  }
}
