internal import Core

/// The ranges of ids that a user may map into a user namespace (subuid(5), subgid(5)).
public struct SubordinateIDs: Sendable, Equatable {
  /// A range of the machine's ids.
  public struct Range: Sendable, Equatable {
    public var first: UInt32
    public var count: UInt32

    public init(first: UInt32, count: UInt32) {
      self.first = first
      self.count = count
    }
  }

  /// In the order of the file, none overlapping another.
  public var ranges: [Range] = []
  /// How many ranges are used: the kernel takes 340 lines, an argument list of tools is not the place for more.
  static let limit = 32

  /// The ranges of the user called `name` with the number `uid` in the text of /etc/subuid or /etc/subgid. Lines of
  /// another form, ranges beyond the ids there are, and ones that hold `own`, which is mapped anyway, are skipped.
  public init(_ text: some Collection<UInt8>, name: String, uid: UInt32, own: UInt32) {
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
      guard fields.count == 3, (!name.isEmpty && fields[0] == name) || fields[0] == String(uid),
        let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0, first > 0,
        // The last id says "no change" in system calls.
        UInt64(first) + UInt64(count) <= UInt64(UInt32.max)
      else { continue }
      let range = Range(first: first, count: count)
      if ranges.count < SubordinateIDs.limit, !overlap(range, Range(first: own, count: 1)),
        !ranges.contains(where: { overlap($0, range) })
      {
        ranges.append(range)
      }
    }
  }

  /// Those of the file `path`; none where there is no such file.
  init(file path: String, name: String, uid: UInt32, own: UInt32) {
    let text = (try? HostPath.read(path, limit: 1 << 20)) ?? []
    self.init(text, name: name, uid: uid, own: own)
  }

  /// How many ids there are besides one's own.
  public var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

  /// The lines of an id map in which 0 is `own` and the ranges follow from 1 on.
  func mapping(own: UInt32) -> [IDMapping] {
    var out = [IDMapping(inside: 0, outside: own, count: 1)]
    var next: UInt64 = 1
    for range in ranges {
      guard next + UInt64(range.count) <= UInt64(UInt32.max) else { break }
      out.append(IDMapping(inside: UInt32(next), outside: range.first, count: range.count))
      next += UInt64(range.count)
    }
    return out
  }

  private func overlap(_ a: Range, _ b: Range) -> Bool {
    UInt64(a.first) < UInt64(b.first) + UInt64(b.count) && UInt64(b.first) < UInt64(a.first) + UInt64(a.count)
  }
}
