import Core
import FileTree
import Testing

@Suite struct TarReaderTests {
  @Test func readsBackWhatWasWritten() throws {
    let (bytes, _) = try archive(sampleEntries)
    let read = try members(bytes)
    #expect(read.count == sampleEntries.count)
    for ((member, data), (entry, wanted)) in zip(read, sampleEntries) {
      #expect(member.entry == entry)
      #expect(data == wanted)
      #expect(Array(bytes[Int(member.dataOffset)..<Int(member.dataOffset + member.storedSize)]) == wanted)
      #expect(member.headerOffset % 512 == 0 && member.dataOffset % 512 == 0)
    }
    #expect(read[0].0.headerOffset == 0)
    #expect(read[1].0.headerOffset == 512)
    #expect(read[1].0.dataOffset == 2048)
  }

  @Test func passesOverUnreadDataAndDrainsTheRest() throws {
    let (bytes, _) = try archive(sampleEntries)
    let reader = TarReader(MemorySource(bytes + [UInt8](repeating: 0, count: 9000)))
    var count = 0
    while try reader.next() != nil { count += 1 }
    #expect(count == sampleEntries.count)
    try reader.drain()
    #expect(reader.position == Int64(bytes.count + 9000))
    #expect(try reader.next() == nil)
  }

  @Test func anArchiveMayEndWithoutZeros() throws {
    let (bytes, _) = try archive(sampleEntries)
    #expect(try members(Array(bytes.dropLast(1024))).count == sampleEntries.count)
    #expect(try members(Array(bytes.dropLast(512))).count == sampleEntries.count)
    #expect(try members([]).isEmpty)
  }

  @Test func everyTruncationFailsOrEndsAtAMember() throws {
    let (bytes, _) = try archive(Array(sampleEntries.prefix(9)))
    let ends = Set(try members(bytes).map { Int($0.0.headerOffset) } + [bytes.count - 1024, bytes.count - 512])
    for length in stride(from: 0, to: bytes.count, by: 128) {
      let cut = Array(bytes[..<length])
      if ends.contains(length) {
        #expect(throws: Never.self) { try members(cut) }
      } else {
        #expect(throws: Failure.self, "\(length)") { try members(cut) }
      }
    }
  }

  @Test func namesThatLeadOutAreRefused() throws {
    for name in ["../x", "a/../../x", "a/..", "/../x"] {
      #expect(throws: Failure("read archive", "member \"\(name)\" leads out of the archive")) {
        try members(block(name))
      }
    }
    #expect(throws: Failure.self) { try members(block("a", type: "1", link: "../etc/shadow")) }
    #expect(throws: Failure.self) { try members(block("")) }
    #expect(throws: Failure.self) { try members(block("a", type: "2", link: "")) }
  }

  @Test func leadingSlashesAndDotsAreDropped() throws {
    #expect(try members(block("//etc/./passwd")).first?.0.entry.path.text == "etc/passwd")
    #expect(try members(block("./", type: "5")).first?.0.entry.path.isRoot == true)
    #expect(try members(block("a", type: "1", link: "/b/c")).first?.0.entry.linkTarget == Array("b/c".utf8))
  }

  @Test func version7HasDirectoriesByTheirSlash() throws {
    let read = try members(block("old/", type: "\0", magic: "") + block("old/f", type: "\0", magic: ""))
    #expect(read.map(\.0.entry.kind) == [.directory, .regular])
  }

  @Test func base256NumbersAreRead() throws {
    var header = Array(block("big", type: "0").prefix(512))
    header.replaceSubrange(108..<116, with: [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe])
    header.replaceSubrange(136..<148, with: [UInt8](repeating: 0xff, count: 11) + [0xfe])
    let entry = try #require(try members(signed(header)).first).0.entry
    #expect(entry.uid == 4_294_967_294)
    #expect(entry.mtime == Timestamp(seconds: -2))
    header.replaceSubrange(108..<116, with: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    #expect(throws: Failure("read archive", "the header at byte 0 has a malformed uid")) { try members(signed(header)) }
    header.replaceSubrange(108..<116, with: [0x80, 0, 0, 0, 0, 0, 0, 0])
    header.replaceSubrange(124..<136, with: [0x80] + [UInt8](repeating: 0xff, count: 11))
    #expect(throws: Failure.self) { try members(signed(header)) }
  }

  @Test func longNamesOfGNU() throws {
    let name = Array(repeating: "component", count: 40).joined(separator: "/")
    let bytes =
      block("././@LongLink", type: "L", data: Array(name.utf8) + [0])
      + block("././@LongLink", type: "K", data: Array("/target".utf8) + [0]) + block("short", type: "2", link: "t")
    let member = try #require(try members(bytes).first).0
    #expect(member.entry.path.text == name)
    #expect(member.entry.linkTarget == Array("/target".utf8))
    #expect(member.headerOffset == 0)
    #expect(member.dataOffset == Int64(bytes.count))
    #expect(throws: Failure.self) { try members(Array(bytes.dropLast(512))) }
  }

  @Test func extendedHeadersWinOverGNUAndTheBlock() throws {
    let bytes =
      block("p", type: "x", data: pax([("path", "from-pax"), ("uid", "7"), ("mtime", "-1.25")]))
      + block("l", type: "L", data: Array("from-gnu\0".utf8)) + block("from-block")
    let entry = try #require(try members(bytes).first).0.entry
    #expect(entry.path.text == "from-pax")
    #expect(entry.uid == 7)
    #expect(entry.mtime == Timestamp(seconds: -2, nanoseconds: 750_000_000))
  }

  @Test func globalHeadersCountForAll() throws {
    let bytes = block("g", type: "g", data: pax([("comment", "x"), ("gid", "9")])) + block("a") + block("b")
    #expect(try members(bytes).map(\.0.entry.gid) == [9, 9])
    let same = block("g", type: "g", data: pax([("path", "evil")])) + block("a")
    #expect(throws: Failure.self) { try members(same) }
  }

  @Test func anEmptyRecordTakesTheBlocksValue() throws {
    let bytes = block("x", type: "x", data: pax([("path", ""), ("size", "")])) + block("kept")
    #expect(try members(bytes).first?.0.entry.path.text == "kept")
  }

  @Test(arguments: [
    "4 a=\n", "6 a=b\n7", "0 a=b\n", "-6 a=b\n", "99 a=b\n", "6 a=b", "6 ab=\n ", "abc", "5 =b\n", "1 \n",
    "999999999999999999999 a=b\n", "13 path=a\0b\n\n", "12 mtime=1e5\n", "11 uid=-1\n\n", "18 uid=4294967296\n",
    "20 SCHILY.xattr.=x\n\n", "30 GNU.sparse.unknown=1\n",
  ])
  func malformedRecordsFail(_ text: String) throws {
    #expect(throws: Failure.self) { try members(block("x", type: "x", data: Array(text.utf8)) + block("a")) }
  }

  @Test func hugeExtensionHeadersFail() throws {
    #expect(throws: Failure.self) { try members(block("x", type: "x", size: 1 << 21) + block("a")) }
    #expect(throws: Failure.self) { try members(block("x", type: "L", size: 1 << 33) + block("a")) }
    let long = block("x", type: "L", data: [UInt8](repeating: 97, count: 70_000)) + block("a")
    #expect(throws: Failure.self) { try members(long) }
  }

  @Test func aWrongChecksumFails() throws {
    var bytes = block("a")
    bytes[0] ^= 1
    #expect(throws: Failure("read archive", "the header at byte 0 has a wrong checksum")) { try members(bytes) }
  }

  @Test func unknownTypesFail() throws {
    #expect(throws: Failure.self) { try members(block("a", type: "M")) }
    #expect(throws: Failure.self) { try members(block("a", type: "Z")) }
  }

  @Test func sparseMapsThatLieFail() throws {
    func sparse(_ map: String, size: Int) -> [UInt8] {
      block("x", type: "x", data: pax([("GNU.sparse.map", map), ("GNU.sparse.size", "\(size)")]))
        + block("s", data: [1, 2, 3, 4])
    }
    let good = try #require(try members(sparse("2,2,6,2", size: 9)).first)
    #expect(good.1 == [0, 0, 1, 2, 0, 0, 3, 4, 0])
    for map in ["2,2,3,2", "2,2,6,4", "8,4", "2,2", "2", "-2,2,6,2", "6,2,2,2", "0,9223372036854775807"] {
      #expect(throws: Failure.self, "\(map)") { try members(sparse(map, size: 9)) }
    }
  }

  /// Headers that were damaged at random are read or refused: never a trap, never more than the input allows.
  @Test func damagedArchivesAreReadOrRefused() throws {
    let (sound, _) = try archive(sampleEntries)
    let sparse =
      block(
        "x", type: "x",
        data: pax([
          ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
          ("GNU.sparse.name", "n"), ("GNU.sparse.realsize", "900"),
        ]))
      + block("s", data: Array("1\n8\n4\n".utf8) + [UInt8](repeating: 0, count: 506) + [1, 2, 3, 4])
    let base = sparse + sound
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func random(_ below: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(below))
    }
    var outcomes = (read: 0, refused: 0)
    for _ in 0..<600 {
      var bytes = base
      for _ in 0...random(4) {
        let header = random(bytes.count / 512) * 512
        bytes[header + random(512)] = UInt8(random(256))
        // Half of the damaged headers get a right checksum, to be looked at further.
        if random(2) == 0 {
          bytes.replaceSubrange(header..<(header + 512), with: signed(Array(bytes[header..<(header + 512)])))
        }
      }
      let reader = TarReader(MemorySource(bytes))
      do {
        while try reader.next() != nil {
          _ = try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { try reader.read(into: $0) }
        }
        outcomes.read += 1
      } catch is Failure {
        outcomes.refused += 1
      }
    }
    #expect(outcomes.read > 0 && outcomes.refused > 0)
  }
}

/// A header block made by hand, with its data padded.
func block(
  _ name: String, type: String = "0", link: String = "", size: Int64? = nil, data: [UInt8] = [],
  magic: String = "ustar\u{0}00"
) -> [UInt8] {
  var out = [UInt8](repeating: 0, count: 512)
  func put(_ bytes: [UInt8], _ at: Int) { out.replaceSubrange(at..<(at + bytes.count), with: bytes) }
  func octal(_ value: Int64, _ digits: Int) -> [UInt8] {
    let text = String(value, radix: 8)
    return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
  }
  put(Array(name.utf8.prefix(100)), 0)
  put(octal(0o644, 7), 100)
  put(octal(0, 7), 108)
  put(octal(0, 7), 116)
  put(octal(size ?? Int64(data.count), 11), 124)
  put(octal(1, 11), 136)
  put(Array(type.utf8), 156)
  put(Array(link.utf8), 157)
  put(Array(magic.utf8), 257)
  return signed(out) + data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
}

/// `header` with the right checksum.
func signed(_ header: [UInt8]) -> [UInt8] {
  var out = header
  out.replaceSubrange(148..<156, with: [UInt8](repeating: 32, count: 8))
  let sum = String(out.reduce(0) { $0 + Int($1) }, radix: 8)
  out.replaceSubrange(148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0 ").utf8))
  return out
}

/// The records of an extended header.
func pax(_ records: [(String, String)]) -> [UInt8] {
  var out: [UInt8] = []
  for (key, value) in records {
    let rest = " \(key)=\(value)\n".utf8.count
    var length = rest + 1
    while String(length).utf8.count + rest != length { length = String(length).utf8.count + rest }
    out += Array("\(length) \(key)=\(value)\n".utf8)
  }
  return out
}
