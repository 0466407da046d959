internal import CLinux

/// The CRC-32C checksum (Castagnoli; RFC 3720, appendix B.4), by the processor's instruction where it has one.
public struct CRC32C: Sendable {
  private var register = UInt32.max

  public init() {}

  /// Takes the next bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    register = stave_crc32c(register, bytes.baseAddress, bytes.count)
  }

  /// The checksum of the bytes so far.
  public var value: UInt32 { ~register }

  /// The checksum of `bytes`.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var sum = CRC32C()
    sum.update(bytes)
    return sum.value
  }

  /// As `of(_:)`, without the processor's instruction.
  static func portable(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    ~stave_crc32c_portable(.max, bytes.baseAddress, bytes.count)
  }
}
