import Core
import Dockerfile
import Testing

/// Mutated Dockerfiles must be read or refused, never trap; the seed is fixed, so a failure comes again.
@Suite struct FuzzTests {
  /// SplitMix64.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  static let seeds = [
    "# syntax=a\n# escape=`\nARG A=1\nFROM --platform=$P x:$A AS b\nRUN --mount=type=cache,target=/c a `\n b\n",
    "FROM scratch\nCOPY --from=b <<-\"E\" <<F x /y\n\t1\n\tE\n2\nF\nENV a=\"b c\" d=${e:-\\\"f} g='h'\n",
    "FROM a\nHEALTHCHECK --interval=1m2.5s CMD [\"x\", \"\\u00e9\"]\nONBUILD RUN <<E cat\n$x\nE\nLABEL a b\n",
    "\u{FEFF}FROM a\r\nEXPOSE 80 81/udp\r\nVOLUME [\"/a\"]\r\nSHELL [\"sh\"]\r\nCMD a \\\r\n# c\r\n\r\n b\r\n",
    "${a##*x${b//c/d}}${e%%\\*}'$f'\"${g:?h}\"\\$i${j/k/l}",
  ]

  static let pieces = [
    "\\", "`", "\n", "\r\n", "$", "${", "}", "\"", "'", "<<", "<<-", "--", "=", "[", "]", ",", "#", "\u{0}", " ", "\t",
    "ONBUILD ", "RUN ", "\u{301}", "\u{FFFD}", "# escape=", "//", "%%", "*", "?", ":",
  ]

  @Test func mutations() {
    var random = Generator(state: 42)
    let environment = ["a": "xx*yy", "b": "", "e": "\u{301}é\n", "j": "kkk"]
    for round in 0..<1500 {
      var bytes: [UInt8] = Array(FuzzTests.seeds[round % FuzzTests.seeds.count].utf8)
      for _ in 0...Int.random(in: 0..<6, using: &random) { mutate(&bytes, &random) }
      _ = try? DockerfileDocument.parse(bytes, file: "Dockerfile")
      let text = String(decoding: bytes, as: UTF8.self)
      for expander in [WordExpander(), WordExpander(escape: "`", rawQuotes: true), WordExpander(skipUnset: true)] {
        _ = try? expander.expand(text) { environment[$0] }
      }
      _ = try? WordExpander().expandWords(text) { environment[$0] }
      _ = try? parseJSONWords(text)
    }
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout Generator) {
    let at = Int.random(in: 0...bytes.count, using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      bytes.insert(contentsOf: FuzzTests.pieces[Int.random(in: FuzzTests.pieces.indices, using: &random)].utf8, at: at)
    case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
    case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 0..<9, using: &random)))
    default:
      let end = min(bytes.count, at + Int.random(in: 0..<40, using: &random))
      bytes.insert(contentsOf: Array(bytes[at..<end]), at: Int.random(in: 0...bytes.count, using: &random))
    }
  }
}
