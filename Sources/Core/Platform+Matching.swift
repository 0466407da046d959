extension Platform {
  /// How well an image of the platform `offered` does where `self` is wanted: 0 is best, nil means not at all.
  ///
  /// An older variant of the architecture runs too, the newest of them first; so do 32-bit ARM programs that say no
  /// variant. Source: containerd's platforms, Compare.
  public func distance(of offered: Platform) -> Int? {
    guard offered.os == os, offered.architecture == architecture else { return nil }
    guard let wanted = level, let level = offered.level else { return variant == offered.variant ? 0 : nil }
    return level <= wanted ? wanted - level : nil
  }

  /// The number of the variant: what stands for none is the oldest on amd64, the usual one elsewhere.
  private var level: Int? {
    if variant.isEmpty {
      switch architecture {
      case "arm": return 7
      case "arm64": return 8
      default: return 1
      }
    }
    guard variant.hasPrefix("v") else { return nil }
    return Int(variant.dropFirst())
  }
}
