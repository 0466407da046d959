internal import Core

/// The bytes of a member's headers: one ustar block, with a PAX block in front only where ustar can't hold the truth.
///
/// POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". What this writes is part of every layer's
/// digest: it may never change for an entry that could be written before.
struct TarHeader {
  static let blockSize = 512
  /// What 7 octal digits hold.
  static let maximumID: UInt64 = 0o7777777
  /// What 11 octal digits hold: 8 GiB - 1.
  static let maximumOctal: Int64 = 0o77777777777

  /// All header blocks of `entry`, a multiple of 512 bytes.
  static func bytes(_ entry: TarEntry) throws -> [UInt8] {
    let out = TarBuffer(capacity: 2 * blockSize)
    try append(entry, to: out)
    return Array(out.bytes)
  }

  /// Adds all header blocks of `entry` to `out`.
  static func append(_ entry: TarEntry, to out: TarBuffer) throws {
    var path = entry.path.bytes
    if entry.kind == .directory { path.append(contentsOf: path.isEmpty ? "./".utf8 : "/".utf8) }
    guard !path.isEmpty else { throw Failure("write /", "only a directory can be the root of an archive") }
    let link = entry.linkTarget
    guard !path.contains(0), !link.contains(0), link.count <= 65536, path.count <= 65536 else {
      throw Failure("write \(entry.path)", "its name can't be held by an archive")
    }
    guard entry.deviceMajor <= maximumID, entry.deviceMinor <= maximumID else {
      throw Failure("write \(entry.path)", "its device number can't be held by an archive")
    }
    let size = entry.kind == .regular ? entry.size : 0
    guard size >= 0 else { throw Failure("write \(entry.path)", "its size is negative") }
    let split = isASCII(path) ? splitPath(path) : nil
    let isLinkHeld = link.count <= 100 && isASCII(link)
    let hasExactTime = entry.mtime.nanoseconds == 0 && (0...maximumOctal).contains(entry.mtime.seconds)
    let isPlain =
      split != nil && isLinkHeld && size <= maximumOctal && UInt64(entry.uid) <= maximumID
      && UInt64(entry.gid) <= maximumID && entry.xattrs.isEmpty
    if !isPlain {
      appendExtended(entry, records(entry, path, size, isPathHeld: split != nil, isLinkHeld: isLinkHeld), to: out)
    } else if !hasExactTime {
      var record: [UInt8] = []
      appendRecord(mtimeKey, time(entry.mtime), to: &record)
      appendExtended(entry, record, to: out)
    }
    appendBlock(
      Fields(
        name: split?.name ?? ascii(path, limit: 100)[...], prefix: split?.prefix ?? [],
        link: isLinkHeld ? link : ascii(link, limit: 100), size: size > maximumOctal ? 0 : size,
        mode: UInt64(entry.mode & 0o7777), uid: UInt64(entry.uid) > maximumID ? 0 : UInt64(entry.uid),
        gid: UInt64(entry.gid) > maximumID ? 0 : UInt64(entry.gid),
        mtime: min(max(entry.mtime.seconds, 0), maximumOctal), type: typeFlag(entry.kind),
        major: UInt64(entry.deviceMajor), minor: UInt64(entry.deviceMinor)), to: out)
  }

  private static let mtimeKey = Array("mtime".utf8)

  /// The PAX records of what ustar can't hold, sorted by their keys.
  private static func records(
    _ entry: TarEntry, _ path: [UInt8], _ size: Int64, isPathHeld: Bool, isLinkHeld: Bool
  ) -> [UInt8] {
    var records: [(key: [UInt8], value: [UInt8])] = []
    func record(_ key: String, _ value: some Sequence<UInt8>) { records.append((Array(key.utf8), Array(value))) }
    if !isPathHeld { record("path", path) }
    if !isLinkHeld { record("linkpath", entry.linkTarget) }
    if size > maximumOctal { record("size", String(size).utf8) }
    if UInt64(entry.uid) > maximumID { record("uid", String(entry.uid).utf8) }
    if UInt64(entry.gid) > maximumID { record("gid", String(entry.gid).utf8) }
    let seconds = entry.mtime.seconds
    if entry.mtime.nanoseconds != 0 || seconds < 0 || seconds > maximumOctal { record("mtime", time(entry.mtime)) }
    for xattr: TarEntry.ExtendedAttribute in entry.xattrs {
      records.append((Array("SCHILY.xattr.".utf8) + encodeKeyword(xattr.name), xattr.value))
    }
    records.sort { $0.key.lexicographicallyPrecedes($1.key) }
    var data: [UInt8] = []
    for (key, value): ([UInt8], [UInt8]) in records { appendRecord(key, value, to: &data) }
    return data
  }

  /// Adds a PAX header with `records`.
  private static func appendExtended(_ entry: TarEntry, _ records: [UInt8], to out: TarBuffer) {
    let name = Array("PaxHeaders/".utf8) + ascii(Array(entry.path.name), limit: 89)
    appendBlock(
      Fields(name: name[...], size: Int64(records.count), mode: 0o644, type: UInt8(ascii: "x")), to: out)
    out.append(records)
    out.appendZeros(padding(Int64(records.count)))
  }

  /// Bytes from the end of `size` bytes of data to the next block.
  static func padding(_ size: Int64) -> Int { Int((512 - size % 512) % 512) }

  static func typeFlag(_ kind: TarEntry.Kind) -> UInt8 {
    switch kind {
    case .regular: UInt8(ascii: "0")
    case .hardLink: UInt8(ascii: "1")
    case .symlink: UInt8(ascii: "2")
    case .characterDevice: UInt8(ascii: "3")
    case .blockDevice: UInt8(ascii: "4")
    case .directory: UInt8(ascii: "5")
    case .fifo: UInt8(ascii: "6")
    }
  }

  /// What goes into one ustar block; every number is in its field's range.
  private struct Fields {
    var name: ArraySlice<UInt8>
    var prefix: ArraySlice<UInt8> = []
    var link: [UInt8] = []
    var size: Int64
    var mode: UInt64
    var uid: UInt64 = 0
    var gid: UInt64 = 0
    var mtime: Int64 = 0
    var type: UInt8
    var major: UInt64 = 0
    var minor: UInt64 = 0
  }

  private static func appendBlock(_ fields: Fields, to buffer: TarBuffer) {
    let out = buffer.room(blockSize)
    out.initializeMemory(as: UInt8.self, repeating: 0)
    func put(_ bytes: ArraySlice<UInt8>, _ at: Int) {
      UnsafeMutableRawBufferPointer(rebasing: out[at...]).copyBytes(from: bytes)
    }
    func octal(_ value: UInt64, _ at: Int, _ digits: Int) {
      var rest = value
      for i in (at..<(at + digits)).reversed() {
        out[i] = UInt8(ascii: "0") + UInt8(rest & 7)
        rest >>= 3
      }
    }
    put(fields.name, 0)
    octal(fields.mode, 100, 7)
    octal(fields.uid, 108, 7)
    octal(fields.gid, 116, 7)
    octal(UInt64(fields.size), 124, 11)
    octal(UInt64(fields.mtime), 136, 11)
    for at in 148..<156 { out[at] = UInt8(ascii: " ") }
    out[156] = fields.type
    put(fields.link[...], 157)
    put(magic[...], 257)
    octal(fields.major, 329, 7)
    octal(fields.minor, 337, 7)
    put(fields.prefix, 345)
    var sum: UInt64 = 0
    for byte: UInt8 in out { sum &+= UInt64(byte) }
    octal(sum, 148, 6)
    out[154] = 0
    buffer.advance(blockSize)
  }

  private static let magic = Array("ustar\u{0}00".utf8)

  /// The ustar prefix and name of `path`, or nil if they can't hold it.
  private static func splitPath(_ path: [UInt8]) -> (prefix: ArraySlice<UInt8>, name: ArraySlice<UInt8>)? {
    if path.count <= 100 { return ([], path[...]) }
    let end = min(path.count - 1, 156)
    guard let slash = path[..<end].lastIndex(of: UInt8(ascii: "/")), slash > 0, path.count - slash - 1 <= 100 else {
      return nil
    }
    return (path[..<slash], path[(slash + 1)...])
  }

  private static func isASCII(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 < 0x80 } }

  /// The ASCII bytes of `bytes`, at most `limit`: for readers that don't know PAX.
  private static func ascii(_ bytes: [UInt8], limit: Int) -> [UInt8] {
    Array(bytes.lazy.filter { $0 < 0x80 }.prefix(limit))
  }

  /// `length key=value\n`, where the length counts itself.
  private static func appendRecord(_ key: [UInt8], _ value: [UInt8], to out: inout [UInt8]) {
    let rest = key.count + value.count + 3
    var length = rest + digits(rest)
    if digits(length) != digits(rest) { length = rest + digits(length) }
    appendDecimal(UInt64(length), to: &out)
    out.append(UInt8(ascii: " "))
    out.append(contentsOf: key)
    out.append(UInt8(ascii: "="))
    out.append(contentsOf: value)
    out.append(UInt8(ascii: "\n"))
  }

  /// Decimal seconds, the fraction without trailing zeros.
  private static func time(_ time: Timestamp) -> [UInt8] {
    var seconds = time.seconds
    var nanoseconds = UInt64(time.nanoseconds)
    var out: [UInt8] = []
    out.reserveCapacity(24)
    if seconds < 0 && nanoseconds != 0 {
      seconds += 1
      nanoseconds = 1_000_000_000 - nanoseconds
      if seconds == 0 { out.append(UInt8(ascii: "-")) }
    }
    if seconds < 0 { out.append(UInt8(ascii: "-")) }
    appendDecimal(seconds.magnitude, to: &out)
    if nanoseconds == 0 { return out }
    out.append(UInt8(ascii: "."))
    var unit: UInt64 = 100_000_000
    while nanoseconds != 0 {
      out.append(UInt8(ascii: "0") + UInt8(nanoseconds / unit))
      nanoseconds %= unit
      unit /= 10
    }
    return out
  }

  private static func digits(_ value: Int) -> Int {
    var count = 1
    var rest = value
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }

  private static func appendDecimal(_ value: UInt64, to out: inout [UInt8]) {
    var unit: UInt64 = 1
    while value / unit >= 10 { unit *= 10 }
    while unit > 0 {
      out.append(UInt8(ascii: "0") + UInt8(value / unit % 10))
      unit /= 10
    }
  }

  /// An attribute's name as a PAX keyword: `%` and `=` as `%25` and `%3D`, as GNU tar does.
  private static func encodeKeyword(_ name: String) -> [UInt8] {
    var out: [UInt8] = []
    for byte: UInt8 in name.utf8 {
      switch byte {
      case UInt8(ascii: "%"): out.append(contentsOf: "%25".utf8)
      case UInt8(ascii: "="): out.append(contentsOf: "%3D".utf8)
      default: out.append(byte)
      }
    }
    return out
  }
}
