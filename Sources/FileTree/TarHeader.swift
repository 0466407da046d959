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
    var records: [(key: [UInt8], value: [UInt8])] = []
    func record(_ key: String, _ value: some Sequence<UInt8>) { records.append((Array(key.utf8), Array(value))) }

    let split = isASCII(path) ? splitPath(path) : nil
    if split == nil { record("path", path) }
    if link.count > 100 || !isASCII(link) { record("linkpath", link) }
    let size = entry.kind == .regular ? entry.size : 0
    guard size >= 0 else { throw Failure("write \(entry.path)", "its size is negative") }
    if size > maximumOctal { record("size", String(size).utf8) }
    if UInt64(entry.uid) > maximumID { record("uid", String(entry.uid).utf8) }
    if UInt64(entry.gid) > maximumID { record("gid", String(entry.gid).utf8) }
    let seconds = entry.mtime.seconds
    if entry.mtime.nanoseconds != 0 || seconds < 0 || seconds > maximumOctal { record("mtime", time(entry.mtime)) }
    for xattr: TarEntry.ExtendedAttribute in entry.xattrs {
      records.append((Array("SCHILY.xattr.".utf8) + encodeKeyword(xattr.name), xattr.value))
    }

    var out: [UInt8] = []
    if !records.isEmpty {
      records.sort { $0.key.lexicographicallyPrecedes($1.key) }
      var data: [UInt8] = []
      for (key, value): ([UInt8], [UInt8]) in records { appendRecord(key, value, to: &data) }
      let name = Array("PaxHeaders/".utf8) + ascii(Array(entry.path.name), limit: 89)
      out = block(Fields(name: name, size: Int64(data.count), mode: 0o644, type: UInt8(ascii: "x")))
      out.append(contentsOf: data)
      out.append(contentsOf: repeatElement(0, count: padding(Int64(data.count))))
    }
    out.append(
      contentsOf: block(
        Fields(
          name: split?.name ?? ascii(path, limit: 100), prefix: split?.prefix ?? [],
          link: link.count > 100 || !isASCII(link) ? ascii(link, limit: 100) : link,
          size: size > maximumOctal ? 0 : size, mode: UInt64(entry.mode & 0o7777),
          uid: UInt64(entry.uid) > maximumID ? 0 : UInt64(entry.uid),
          gid: UInt64(entry.gid) > maximumID ? 0 : UInt64(entry.gid),
          mtime: min(max(seconds, 0), maximumOctal), type: typeFlag(entry.kind),
          major: UInt64(entry.deviceMajor), minor: UInt64(entry.deviceMinor))))
    return out
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
    var name: [UInt8]
    var prefix: [UInt8] = []
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

  private static func block(_ fields: Fields) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: blockSize)
    func put(_ bytes: [UInt8], _ at: Int) { out.replaceSubrange(at..<(at + bytes.count), with: bytes) }
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
    put([UInt8](repeating: UInt8(ascii: " "), count: 8), 148)
    out[156] = fields.type
    put(fields.link, 157)
    put(Array("ustar".utf8), 257)
    put(Array("00".utf8), 263)
    octal(fields.major, 329, 7)
    octal(fields.minor, 337, 7)
    put(fields.prefix, 345)
    let sum: UInt64 = out.reduce(0) { $0 + UInt64($1) }
    octal(sum, 148, 6)
    out[154] = 0
    return out
  }

  /// The ustar prefix and name of `path`, or nil if they can't hold it.
  private static func splitPath(_ path: [UInt8]) -> (prefix: [UInt8], name: [UInt8])? {
    if path.count <= 100 { return ([], path) }
    let end = min(path.count - 1, 156)
    guard let slash = path[..<end].lastIndex(of: UInt8(ascii: "/")), slash > 0, path.count - slash - 1 <= 100 else {
      return nil
    }
    return (Array(path[..<slash]), Array(path[(slash + 1)...]))
  }

  private static func isASCII(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 < 0x80 } }

  /// The ASCII bytes of `bytes`, at most `limit`: for readers that don't know PAX.
  private static func ascii(_ bytes: [UInt8], limit: Int) -> [UInt8] {
    Array(bytes.lazy.filter { $0 < 0x80 }.prefix(limit))
  }

  /// `length key=value\n`, where the length counts itself.
  private static func appendRecord(_ key: [UInt8], _ value: [UInt8], to out: inout [UInt8]) {
    let rest = key.count + value.count + 3
    var length = rest + String(rest).utf8.count
    if String(length).utf8.count != String(rest).utf8.count { length = rest + String(length).utf8.count }
    out.append(contentsOf: "\(length) ".utf8)
    out.append(contentsOf: key)
    out.append(UInt8(ascii: "="))
    out.append(contentsOf: value)
    out.append(UInt8(ascii: "\n"))
  }

  /// Decimal seconds, the fraction without trailing zeros.
  private static func time(_ time: Timestamp) -> [UInt8] {
    var seconds = time.seconds
    var nanoseconds = time.nanoseconds
    var sign = ""
    if seconds < 0 && nanoseconds != 0 {
      seconds += 1
      nanoseconds = 1_000_000_000 - nanoseconds
      if seconds == 0 { sign = "-" }
    }
    var text = sign + String(seconds)
    if nanoseconds != 0 {
      let digits = String(nanoseconds)
      var fraction = String(repeating: "0", count: 9 - digits.count) + digits
      while fraction.last == "0" { fraction.removeLast() }
      text += "." + fraction
    }
    return Array(text.utf8)
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
