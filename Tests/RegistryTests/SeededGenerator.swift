/// SplitMix64: the same numbers from the same seed, so that a failure comes again.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Puts one of `pieces` or any byte into `bytes`, or takes or doubles a part.
  mutating func mutate(_ bytes: inout [UInt8], _ pieces: [String]) {
    let at = Int.random(in: 0...bytes.count, using: &self)
    switch Int.random(in: 0..<4, using: &self) {
    case 0: bytes.insert(contentsOf: pieces[Int.random(in: pieces.indices, using: &self)].utf8, at: at)
    case 1: bytes.insert(UInt8.random(in: 0...255, using: &self), at: at)
    case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 0..<9, using: &self)))
    default:
      let end = min(bytes.count, at + Int.random(in: 0..<40, using: &self))
      bytes.insert(contentsOf: Array(bytes[at..<end]), at: Int.random(in: 0...bytes.count, using: &self))
    }
  }
}
