public import Core

/// An annotation that a build sets, as buildx writes it: `[TYPE[PLATFORM]:]KEY=VALUE`.
public struct BuildAnnotation: Sendable, Equatable {
  /// What is annotated.
  public enum Place: String, Sendable, CaseIterable {
    case manifest
    case manifestDescriptor = "manifest-descriptor"
    case index
    case indexDescriptor = "index-descriptor"
  }

  public var place: Place
  /// The image of one platform only; nil for all.
  public var platform: Platform?
  public var key: String
  public var value: String

  /// Reads `text`, which may name several types with commas between; without one the manifest is meant.
  public static func parse(_ text: String) throws -> [BuildAnnotation] {
    func refuse(_ reason: String) -> Failure { Failure("", reason, exitCode: 125) }
    guard let equals = text.firstIndex(of: "=") else {
      throw refuse("invalid annotation \"\(text)\", expected key=value format")
    }
    var key = text[..<equals]
    let value = String(text[text.index(after: equals)...])
    var types: Substring = "manifest"
    if let colon = key.firstIndex(of: ":") {
      types = key[..<colon]
      key = key[key.index(after: colon)...]
    }
    guard !key.isEmpty else { throw refuse("invalid annotation \"\(text)\", expected key=value format") }
    return try types.split(separator: ",", omittingEmptySubsequences: false).map { word in
      let parts = word.split(separator: "[", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 1 || parts[1].hasSuffix("]") else {
        throw refuse(
          "invalid annotation type \"\(word)\", expected type and optional platform in format: type[platform]")
      }
      guard let place = Place(rawValue: String(parts[0])) else {
        throw refuse(
          "unknown annotation type \"\(parts[0])\"" + didYouMean(String(parts[0]), in: Place.allCases.map(\.rawValue)))
      }
      if place == .indexDescriptor {
        throw Failure.notSupportedYet("--annotation \(text)", hint: "it needs an output of type oci")
      }
      let platform = try parts.count > 1 ? Platform(String(parts[1].dropLast())) : nil
      return BuildAnnotation(place: place, platform: platform, key: String(key), value: value)
    }
  }
}

extension [BuildAnnotation] {
  /// Those of `place`, of the image for `platform` if that is given; the last one of a key counts.
  func values(_ place: BuildAnnotation.Place, _ platform: Platform? = nil) -> [String: String] {
    let own = filter { $0.place == place && ($0.platform == nil || $0.platform == platform) }
    return Dictionary(own.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
  }
}
