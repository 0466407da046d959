internal import Linux

/// Names for containers whose user gave none.
enum ContainerName {
  private static let adjectives: [String] = [
    "airy", "amber", "bold", "brisk", "calm", "clear", "crisp", "deft", "eager", "fair", "firm", "fleet", "fond",
    "frank", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "keen", "kind", "lively", "lucid",
    "mellow", "merry", "mild", "neat", "noble", "plain", "proud", "quick", "quiet", "rapid", "ready", "sage", "sleek",
    "smart", "solid", "sound", "spry", "steady", "still", "sunny", "swift", "tidy", "trim", "vivid", "warm",
  ]
  private static let nouns: [String] = [
    "adze", "barrel", "basin", "beam", "bell", "bung", "butt", "cask", "chine", "cooper", "croze", "dowel", "drum",
    "firkin", "flask", "hogshead", "hoop", "jar", "jug", "keg", "kettle", "ladle", "lathe", "mallet", "mill", "oak",
    "pail", "pipe", "plane", "pot", "quern", "rivet", "rundlet", "shave", "spigot", "spoke", "stave", "still", "tub",
    "tun", "urn", "vat", "vessel", "vine", "wedge", "wheel", "willow", "wine", "yard", "yoke",
  ]

  /// `keen_barrel41`: enough of them that a clash is rare.
  static func random() -> String {
    let bytes = Machine.random(4)
    let number = Int(bytes[2]) << 8 | Int(bytes[3])
    return "\(adjectives[Int(bytes[0]) % adjectives.count])_\(nouns[Int(bytes[1]) % nouns.count])\(number % 1000)"
  }
}
