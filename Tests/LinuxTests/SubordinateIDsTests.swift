import Core
import Testing

@testable import Linux

@Suite struct SubordinateIDsTests {
  private func ranges(_ text: String, name: String = "ann", uid: UInt32 = 1000, own: UInt32 = 1000) -> [String] {
    SubordinateIDs(Array(text.utf8), name: name, uid: uid, own: own).ranges.map { "\($0.first)+\($0.count)" }
  }

  @Test func findsLinesByNameAndNumber() {
    #expect(ranges("bob:1:2\nann:100000:65536\n1000:300000:10\n") == ["100000+65536", "300000+10"])
    #expect(ranges("ann:5:1") == ["5+1"])
    #expect(ranges(":5:1\n", name: "") == [])
  }

  @Test func skipsWhatIsNoRange() {
    #expect(ranges("ann\nann:1\nann:1:2:3\nann:x:2\nann:-1:2\nann:9:0\nann:0:5\n#ann:7:7\nann: 7:7\n") == [])
    #expect(ranges("ann:4294967295:1\nann:4294967290:6\nann:4294967290:5") == ["4294967290+5"])
    #expect(ranges("ann:99999999999999999999:1\nann:1:99999999999999999999") == [])
  }

  @Test func skipsWhatIsMappedAlready() {
    #expect(ranges("ann:100:50\nann:120:10\nann:90:11\nann:150:5") == ["100+50", "150+5"])
    #expect(ranges("ann:900:200\nann:2000:5") == ["2000+5"])
  }

  @Test func takesABoundedNumberOfRanges() {
    let text = (0..<1000).map { "ann:\(2000 + 10 * $0):5\n" }.joined()
    #expect(ranges(text).count == SubordinateIDs.limit)
  }

  @Test func mapsRangesOneAfterTheOther() {
    let ids = SubordinateIDs(Array("ann:100000:10\nann:200000:5".utf8), name: "ann", uid: 7, own: 7)
    #expect(ids.count == 15)
    #expect(
      ids.mapping(own: 7) == [
        IDMapping(inside: 0, outside: 7, count: 1), IDMapping(inside: 1, outside: 100_000, count: 10),
        IDMapping(inside: 11, outside: 200_000, count: 5),
      ])
  }
}
