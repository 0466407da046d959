internal import Core

/// What PAX and GNU extension headers say about the member that follows them.
struct TarExtensions {
  static let maximumHeader: Int64 = 1 << 20
  static let maximumPath = 65536

  var path: [UInt8]?
  var link: [UInt8]?
  var size: Int64?
  var uid: UInt32?
  var gid: UInt32?
  var mtime: Timestamp?
  var xattrs: [TarEntry.ExtendedAttribute] = []
  var sparse = TarSparse.Records()

  /// Adds the records of the body of an `x` header. A later record takes the place of an earlier one.
  mutating func addRecords(_ data: [UInt8]) throws {
    var at = 0
    while at < data.count {
      let (key, value, next) = try TarExtensions.record(data, at)
      at = next
      try add(key, value)
    }
  }

  /// Adds the records of the body of a `g` header, which count for every later member: only what can be true of all.
  mutating func addGlobalRecords(_ data: [UInt8]) throws {
    var global = TarExtensions()
    try global.addRecords(data)
    guard global.path == nil, global.link == nil, global.size == nil, global.sparse.isEmpty else {
      throw Failure("read archive", "a global header gives every member the same name or size")
    }
    uid = global.uid ?? uid
    gid = global.gid ?? gid
    mtime = global.mtime ?? mtime
    xattrs += global.xattrs
  }

  /// The text of an `L` or `K` header's body: up to the first NUL.
  static func longText(_ data: [UInt8]) throws -> [UInt8] {
    let text = Array(data.prefix { $0 != 0 })
    guard text.count <= maximumPath else { throw malformed("a name longer than \(maximumPath) bytes") }
    return text
  }

  private mutating func add(_ key: [UInt8], _ value: ArraySlice<UInt8>) throws {
    let name = String(decoding: key, as: UTF8.self)
    switch name {
    case "path": path = try TarExtensions.text(value, name)
    case "linkpath": link = try TarExtensions.text(value, name)
    case "size": size = value.isEmpty ? nil : try TarExtensions.number(value, name)
    case "uid": uid = value.isEmpty ? nil : try TarExtensions.identifier(value, name)
    case "gid": gid = value.isEmpty ? nil : try TarExtensions.identifier(value, name)
    case "mtime": mtime = value.isEmpty ? nil : try TarExtensions.time(value)
    case _ where name.hasPrefix("SCHILY.xattr."):
      let attribute = TarExtensions.decodeKeyword(key.dropFirst("SCHILY.xattr.".utf8.count))
      guard let text = String(validating: attribute, as: UTF8.self), !text.isEmpty, !attribute.contains(0) else {
        throw TarExtensions.malformed("an extended attribute's name")
      }
      xattrs.append(TarEntry.ExtendedAttribute(text, Array(value)))
    case _ where name.hasPrefix("GNU.sparse."):
      try sparse.add(String(name.dropFirst("GNU.sparse.".count)), value)
    // atime, ctime, uname, gname, comment, SCHILY.fflags, LIBARCHIVE.*: nothing of a layer's content.
    default: break
    }
  }

  /// One `length key=value\n` at `start` of `data`, and where the next begins.
  private static func record(
    _ data: [UInt8], _ start: Int
  ) throws -> (key: [UInt8], value: ArraySlice<UInt8>, next: Int) {
    guard let blank = data[start..<min(start + 8, data.count)].firstIndex(of: UInt8(ascii: " ")),
      let length = decimal(data[start..<blank]), length > Int64(blank - start), length <= Int64(data.count - start)
    else { throw malformed("an extended header's record") }
    let next = start + Int(length)
    guard next - 1 > blank, data[next - 1] == UInt8(ascii: "\n"),
      let equals = data[(blank + 1)..<(next - 1)].firstIndex(of: UInt8(ascii: "=")), equals > blank + 1
    else { throw malformed("an extended header's record") }
    return (Array(data[(blank + 1)..<equals]), data[(equals + 1)..<(next - 1)], next)
  }

  /// Text without NUL; nil for none, which takes the header block's back.
  static func text(_ value: ArraySlice<UInt8>, _ what: String) throws -> [UInt8]? {
    guard !value.contains(0), value.count <= maximumPath else { throw malformed(what) }
    return value.isEmpty ? nil : Array(value)
  }

  /// A decimal number, at least 0.
  static func number(_ value: ArraySlice<UInt8>, _ what: String) throws -> Int64 {
    guard let number = decimal(value) else { throw malformed(what) }
    return number
  }

  static func malformed(_ what: String) -> Failure { Failure("read archive", "malformed \(what)") }

  private static func identifier(_ value: ArraySlice<UInt8>, _ what: String) throws -> UInt32 {
    guard let number = UInt32(exactly: try number(value, what)) else { throw malformed(what) }
    return number
  }

  /// 1 to 18 decimal digits.
  private static func decimal(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard (1...18).contains(digits.count) else { return nil }
    var value: Int64 = 0
    for digit in digits {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
  }

  /// `-1.25`; digits beyond nanoseconds are dropped.
  private static func time(_ value: ArraySlice<UInt8>) throws -> Timestamp {
    let negative = value.first == UInt8(ascii: "-")
    let parts = value.dropFirst(negative ? 1 : 0).split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard let seconds = decimal(parts[0]) else { throw malformed("mtime") }
    var nanoseconds: Int64 = 0
    if parts.count == 2 {
      guard parts[1].allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
        throw malformed("mtime")
      }
      let digits = parts[1].prefix(9) + ArraySlice(repeatElement(UInt8(ascii: "0"), count: 9 - min(9, parts[1].count)))
      nanoseconds = decimal(digits) ?? 0
    }
    if !negative { return Timestamp(seconds: seconds, nanoseconds: Int32(nanoseconds)) }
    if nanoseconds == 0 { return Timestamp(seconds: -seconds) }
    return Timestamp(seconds: -seconds - 1, nanoseconds: Int32(1_000_000_000 - nanoseconds))
  }

  /// `%3D` and `%25` are `=` and `%` (GNU tar).
  private static func decodeKeyword(_ key: ArraySlice<UInt8>) -> [UInt8] {
    guard key.contains(UInt8(ascii: "%")) else { return Array(key) }
    var out: [UInt8] = []
    var rest = key
    while let byte = rest.first {
      if rest.starts(with: "%3D".utf8) || rest.starts(with: "%25".utf8) {
        out.append(rest.starts(with: "%3D".utf8) ? UInt8(ascii: "=") : UInt8(ascii: "%"))
        rest = rest.dropFirst(3)
      } else {
        out.append(byte)
        rest = rest.dropFirst()
      }
    }
    return out
  }
}
