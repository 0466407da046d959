internal import Core

/// The forms in which GNU tar says that a file has holes: old `S` headers, and PAX 0.0, 0.1 and 1.0.
///
/// GNU tar manual, appendix "Sparse Formats".
enum TarSparse {
  static let maximumExtents = 1 << 20

  /// The `GNU.sparse.*` records of one extended header.
  struct Records {
    var major: Int64 = 0
    var minor: Int64 = 0
    var name: [UInt8]?
    var realSize: Int64?
    /// Offsets and lengths in turn.
    var map: [Int64] = []
    private var any = false

    var isEmpty: Bool { !any }
    /// Whether the map stands in front of the data.
    var hasMapInData: Bool { major == 1 && minor == 0 }

    /// Adds the record `GNU.sparse.<key>`.
    mutating func add(_ key: String, _ value: ArraySlice<UInt8>) throws {
      any = true
      switch key {
      case "major": major = try TarExtensions.number(value, "GNU.sparse.major")
      case "minor": minor = try TarExtensions.number(value, "GNU.sparse.minor")
      case "name": name = try TarExtensions.text(value, "GNU.sparse.name")
      case "size", "realsize": realSize = try TarExtensions.number(value, "GNU.sparse.size")
      case "offset", "numbytes":
        guard map.count % 2 == (key == "offset" ? 0 : 1) else { throw TarExtensions.malformed("sparse map") }
        map.append(try TarExtensions.number(value, "sparse map"))
      case "map":
        map = try value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
          try TarExtensions.number($0, "sparse map")
        }
      // The map tells its own length.
      case "numblocks": break
      default: throw Failure("read archive", "unknown sparse file record GNU.sparse.\(key)")
      }
    }
  }

  /// The extents that `map` (offsets and lengths in turn) describes: ascending, apart, inside `realSize`, and as long
  /// together as the stored data.
  static func extents(_ map: [Int64], realSize: Int64, storedSize: Int64) throws -> [TarMember.Extent] {
    guard map.count % 2 == 0, map.count / 2 <= maximumExtents else { throw TarExtensions.malformed("sparse map") }
    var out: [TarMember.Extent] = []
    var end: Int64 = 0
    var stored: Int64 = 0
    for i in stride(from: 0, to: map.count, by: 2) {
      let offset = map[i]
      let length = map[i + 1]
      guard offset >= end, length >= 0, offset <= realSize, length <= realSize - offset else {
        throw TarExtensions.malformed("sparse map")
      }
      end = offset + length
      stored += length
      if length > 0 { out.append(TarMember.Extent(offset: offset, length: length)) }
    }
    guard stored == storedSize else { throw TarExtensions.malformed("sparse map") }
    return out
  }

  /// The map of an `S` header and its extension blocks.
  static func oldMap(_ block: TarBlock, _ input: TarInput) throws -> (map: [Int64], realSize: Int64) {
    let realSize = try block.field(483, 12, "sparse size")
    guard realSize >= 0 else { throw TarExtensions.malformed("sparse size") }
    var map: [Int64] = []
    try appendEntries(block.bytes, 386, 4, to: &map)
    var isExtended = block.bytes[482] != 0
    while isExtended {
      guard map.count / 2 <= maximumExtents else { throw TarExtensions.malformed("sparse map") }
      let bytes = try input.bytes(TarHeader.blockSize)
      try appendEntries(bytes, 0, 21, to: &map)
      isExtended = bytes[504] != 0
    }
    return (map, realSize)
  }

  /// The PAX 1.0 map at the start of the data, decimal lines padded to whole blocks, and how many bytes it takes.
  static func mapInData(_ input: TarInput, limit: Int64) throws -> (map: [Int64], length: Int64) {
    var length: Int64 = 0
    var pending: [UInt8] = []
    var map: [Int64] = []
    var wanted: Int64?
    while wanted.map({ Int64(map.count) < 2 * $0 }) ?? true {
      guard limit - length >= Int64(TarHeader.blockSize) else { throw TarExtensions.malformed("sparse map") }
      let bytes = try input.bytes(TarHeader.blockSize)
      length += Int64(bytes.count)
      var rest = pending[...] + bytes
      while let newline = rest.firstIndex(of: UInt8(ascii: "\n")), wanted.map({ Int64(map.count) < 2 * $0 }) ?? true {
        let number = try TarExtensions.number(rest[..<newline], "sparse map")
        rest = rest[(newline + 1)...]
        if wanted == nil {
          guard number <= Int64(maximumExtents) else { throw TarExtensions.malformed("sparse map") }
          wanted = number
        } else {
          map.append(number)
        }
      }
      pending = Array(rest)
      // An unfinished line can't be longer than a number is.
      if wanted.map({ Int64(map.count) < 2 * $0 }) ?? true, pending.count > 20 {
        throw TarExtensions.malformed("sparse map")
      }
    }
    return (map, length)
  }

  private static func appendEntries(_ bytes: [UInt8], _ start: Int, _ count: Int, to map: inout [Int64]) throws {
    let block = bytes
    for i in 0..<count {
      let at = start + 24 * i
      // An unused entry is all NUL.
      if block[at..<(at + 24)].allSatisfy({ $0 == 0 }) { return }
      map.append(try TarBlock.number(block, at, 12, "sparse map"))
      map.append(try TarBlock.number(block, at + 12, 12, "sparse map"))
    }
  }
}
