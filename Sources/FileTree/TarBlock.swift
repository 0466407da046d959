internal import Core

/// One parsed 512-byte header block: ustar, GNU, star or version 7.
struct TarBlock {
  let bytes: [UInt8]
  let type: UInt8
  /// Prefix and name joined.
  let path: [UInt8]
  let link: [UInt8]
  let size: Int64
  private let offset: Int64

  /// The format, as the magic bytes tell.
  private enum Format { case version7, ustar, star, gnu }

  /// Parses the block that stands at `offset`; throws a `Failure` if its checksum or its size is wrong.
  init(_ bytes: [UInt8], at offset: Int64) throws {
    self.bytes = bytes
    self.offset = offset
    try TarBlock.verifyChecksum(bytes, offset)
    let format = TarBlock.format(bytes)
    type = bytes[156]
    link = TarBlock.text(bytes, 157, 100)
    var path = TarBlock.text(bytes, 0, 100)
    let prefix: [UInt8] =
      switch format {
      case .ustar: TarBlock.text(bytes, 345, 155)
      case .star: TarBlock.text(bytes, 345, 131)
      case .gnu, .version7: []
      }
    if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
    self.path = path
    size = try TarBlock.number(bytes, 124, 12, offset, "size")
    guard size >= 0 else { throw TarBlock.malformed("size", offset) }
    self.hasDevice = format != .version7
  }

  private let hasDevice: Bool

  /// Whether all 512 bytes are 0: the end of the archive.
  static func isZero(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }

  /// Whether `bytes` (at least 512) start with a header whose checksum is right.
  static func isHeader(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= TarHeader.blockSize, !isZero(Array(bytes[..<TarHeader.blockSize])) else { return false }
    return (try? verifyChecksum(bytes, 0)) != nil
  }

  func mode() throws -> UInt16 { UInt16(truncatingIfNeeded: try field(100, 8, "mode") & 0o7777) }
  func uid() throws -> UInt32 { try unsigned(108, 8, "uid") }
  func gid() throws -> UInt32 { try unsigned(116, 8, "gid") }
  func mtime() throws -> Int64 { try field(136, 12, "mtime") }
  func deviceMajor() throws -> UInt32 { hasDevice ? try unsigned(329, 8, "device number") : 0 }
  func deviceMinor() throws -> UInt32 { hasDevice ? try unsigned(337, 8, "device number") : 0 }

  /// The number at `start`, octal or base 256.
  func field(_ start: Int, _ length: Int, _ what: String) throws -> Int64 {
    try TarBlock.number(bytes, start, length, offset, what)
  }

  /// The number at `start` of `bytes`, octal or base 256; `what` names it in the failure.
  static func number(_ bytes: [UInt8], _ start: Int, _ length: Int, _ what: String) throws -> Int64 {
    try number(bytes, start, length, 0, what)
  }

  private func unsigned(_ start: Int, _ length: Int, _ what: String) throws -> UInt32 {
    guard let value = UInt32(exactly: try field(start, length, what)) else { throw TarBlock.malformed(what, offset) }
    return value
  }

  private static func malformed(_ what: String, _ offset: Int64) -> Failure {
    Failure("read archive", "the header at byte \(offset) has a malformed \(what)")
  }

  private static func format(_ bytes: [UInt8]) -> Format {
    let magic = bytes[257..<263]
    if magic.elementsEqual("ustar\0".utf8) {
      return bytes[508..<512].elementsEqual("tar\0".utf8) ? .star : .ustar
    }
    return magic.elementsEqual("ustar ".utf8) && bytes[263..<265].elementsEqual(" \0".utf8) ? .gnu : .version7
  }

  /// Old implementations summed signed bytes: either sum is right.
  private static func verifyChecksum(_ bytes: [UInt8], _ offset: Int64) throws {
    let (unsigned, signed) = bytes.withUnsafeBytes { bytes in
      var unsigned: Int64 = 8 * 32
      var negative: Int64 = 0
      // The checksum's own field counts as blanks.
      for part in [0..<148, 156..<TarHeader.blockSize] {
        for i in part {
          unsigned += Int64(bytes[i])
          negative += Int64(bytes[i] >> 7)
        }
      }
      return (unsigned, unsigned - 256 * negative)
    }
    let stored = try number(bytes, 148, 8, offset, "checksum")
    guard stored == unsigned || stored == signed else {
      throw Failure("read archive", "the header at byte \(offset) has a wrong checksum")
    }
  }

  /// The bytes up to the first NUL.
  private static func text(_ bytes: [UInt8], _ start: Int, _ length: Int) -> [UInt8] {
    Array(bytes[start..<(start + length)].prefix { $0 != 0 })
  }

  /// An octal number between blanks and NULs, or a big-endian two's complement number if the top bit is set (GNU).
  private static func number(
    _ bytes: [UInt8], _ start: Int, _ length: Int, _ offset: Int64, _ what: String
  ) throws -> Int64 {
    let field = bytes[start..<(start + length)]
    if bytes[start] & 0x80 != 0 {
      let negative = bytes[start] & 0x40 != 0
      var value: Int64 = negative ? -1 : 0
      for (i, byte) in field.enumerated() {
        let digit = i == 0 ? (negative ? byte | 0x80 : byte & 0x7f) : byte
        let (product, overflow) = value.multipliedReportingOverflow(by: 256)
        // The sign's own bits shift through: only a number beyond 64 bits overflows.
        if overflow { throw malformed(what, offset) }
        value = i == 0 && negative ? Int64(Int8(bitPattern: digit)) : product | Int64(digit)
      }
      return value
    }
    let blank: (UInt8) -> Bool = { $0 == 0 || $0 == UInt8(ascii: " ") }
    var value: Int64 = 0
    var rest = field.drop(while: blank)
    while let digit = rest.first, !blank(digit) {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "7") else { throw malformed(what, offset) }
      // 12 octal digits are 36 bits: no overflow.
      value = value << 3 | Int64(digit - UInt8(ascii: "0"))
      rest = rest.dropFirst()
    }
    guard rest.allSatisfy(blank) else { throw malformed(what, offset) }
    return value
  }
}
