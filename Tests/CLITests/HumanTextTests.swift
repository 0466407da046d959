import Core
import Testing

@testable import CLI

@Suite struct HumanTextTests {
  static let sizesCases: [(Int64, String)] = [
    (0, "0B"), (999, "999B"), (1000, "1kB"), (4_261_550, "4.26MB"), (76_543_210, "76.5MB"), (999_600, "1MB"),
    (123_456_789, "123MB"), (1_234_567_890, "1.23GB"), (1_500, "1.5kB"), (-2_000, "-2kB"), (Int64.max, "9.22EB"),
  ]

  @Test(arguments: sizesCases)
  func sizes(_ bytes: Int64, _ expected: String) { #expect(HumanText.size(bytes) == expected) }

  static let durationsCases: [(Int64, String)] = [
    (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (120, "2 minutes"),
    (3599, "59 minutes"), (3600, "About an hour"), (2 * 3600, "2 hours"), (47 * 3600, "47 hours"),
    (49 * 3600, "2 days"), (15 * 86400, "2 weeks"), (70 * 86400, "2 months"), (800 * 86400, "2 years"),
  ]

  @Test(arguments: durationsCases)
  func durations(_ seconds: Int64, _ expected: String) { #expect(HumanText.duration(seconds: seconds) == expected) }

  @Test func agesAndTimes() {
    let then = Timestamp(seconds: 1_700_000_000)
    #expect(HumanText.age(of: then, now: Timestamp(seconds: 1_700_000_125)) == "2 minutes ago")
    #expect(HumanText.age(of: Timestamp(seconds: .min), now: then).hasSuffix("years ago"))
    #expect(HumanText.age(of: Timestamp(seconds: .max), now: then) == "Less than a second ago")
    #expect(HumanText.time(then) == "2023-11-14 22:13:20 +0000 UTC")
    #expect(HumanText.seconds(4_250_000_000, places: 1) == "4.2")
    #expect(HumanText.seconds(12_345_678, places: 3) == "0.012")
    #expect(HumanText.seconds(-1, places: 1) == "0.0")
  }

  static let byteSizesCases: [(String, Int64?)] = [
    ("512", Int64(512)), ("512m", 536_870_912), ("1.5g", 1_610_612_736), ("64K", 65536), ("1kb", 1024), ("x", nil),
    ("-1", nil), ("1q", nil), ("", nil), ("9999999999999t", nil), ("1e9", nil),
  ]

  @Test(arguments: byteSizesCases)
  func byteSizes(_ text: String, _ expected: Int64?) { #expect(ByteSize.parse(text) == expected) }
}
