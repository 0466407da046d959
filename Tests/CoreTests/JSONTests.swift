import Core
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    ("{\"b\":1,\"a\":[true,null,\"x\"]}", "{\"a\":[true,null,\"x\"],\"b\":1}"),
    (" [ 1.5e3 , -0 , 9223372036854775808 ] ", "[1.5e3,0,9223372036854775808]"),
    ("\"\\u00e9\\ud83d\\ude00\\n\\u0001\"", "\"é😀\\n\\u0001\""),
    ("\"\\ud800x\"", "\"\u{FFFD}x\""), ("{}", "{}"), ("[]", "[]"),
  ])
  func writesCanonicalText(input: String, expected: String) throws {
    #expect(try JSON.parse(input).text == expected)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01", "1.", "+1", "nul", "\"a", "\"\\x\"", "[1] 2", "\"\u{1}\"",
    "{1:2}",
  ])
  func refuses(input: String) {
    #expect(throws: Failure.self) { try JSON.parse(input) }
  }

  @Test func boundsTheDepth() {
    #expect(throws: Failure.self) { try JSON.parse(String(repeating: "[", count: 100_000)) }
    #expect(throws: Never.self) {
      try JSON.parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))
    }
  }

  @Test func refusesInvalidUTF8() {
    #expect(throws: Failure.self) { try JSON.parse([0x22, 0xFF, 0x22]) }
  }

  @Test func mutatedTextNeverTraps() {
    var state: UInt64 = 42
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let seed: [UInt8] = Array(#"{"a":[1,-2.5e+7,"\u12abx",{"b":null,"c":[true,false]}],"d":"\\\""}"#.utf8)
    for _ in 0..<20_000 {
      var bytes = seed
      for _ in 0...next(3) { bytes[next(bytes.count)] = UInt8(next(256)) }
      if let value = try? JSON.parse(bytes) { #expect((try? JSON.parse(value.bytes)) == value) }
    }
  }
}
