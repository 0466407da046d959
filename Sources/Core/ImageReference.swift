/// The name of an image, normalised as Docker does: `busybox` is `docker.io/library/busybox:latest`.
///
/// Source: distribution's reference grammar (`[host[:port]/]path[:tag][@digest]`).
public struct ImageReference: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// `docker.io`, `localhost:5000`.
  public let registry: String
  /// `library/busybox`.
  public let repository: String
  /// nil when only a digest was given.
  public let tag: String?
  public let digest: Digest?

  /// Parses and normalises `text`; without tag and digest the tag is `latest`.
  public init(_ text: String) throws {
    func refuse(_ reason: String, hint: String? = nil) -> Failure {
      Failure("parse reference \"\(text)\"", reason, hint: hint)
    }
    guard !text.isEmpty else { throw refuse("invalid reference format") }
    if text.utf8.count == 64, text.utf8.allSatisfy(ImageReference.isHex) {
      throw refuse("invalid repository name: cannot be 64 hexadecimal digits")
    }
    var rest = Substring(text)
    if let at = rest.firstIndex(of: "@") {
      digest = try Digest(String(rest[rest.index(after: at)...]))
      rest = rest[..<at]
    } else {
      digest = nil
    }
    var tag: String?
    if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
      let word = String(rest[rest.index(after: colon)...])
      guard ImageReference.isTag(word) else { throw refuse("invalid reference format: bad tag \"\(word)\"") }
      tag = word
      rest = rest[..<colon]
    }
    if let slash = rest.firstIndex(of: "/"), ImageReference.looksLikeHost(rest[..<slash]) {
      let host = String(rest[..<slash])
      registry = host == "index.docker.io" ? "docker.io" : host
      rest = rest[rest.index(after: slash)...]
    } else {
      registry = "docker.io"
    }
    guard !rest.isEmpty, rest.utf8.count <= 255 else { throw refuse("invalid reference format") }
    guard rest.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(ImageReference.isComponent) else {
      let hint = rest.contains(where: \.isUppercase) ? "repository name must be lowercase" : nil
      throw refuse("invalid reference format" + (hint.map { ": " + $0 } ?? ""))
    }
    repository = registry == "docker.io" && !rest.contains("/") ? "library/\(rest)" : String(rest)
    self.tag = tag ?? (digest == nil ? "latest" : nil)
  }

  private init(registry: String, repository: String, tag: String?, digest: Digest?) {
    self.registry = registry
    self.repository = repository
    self.tag = tag
    self.digest = digest
  }

  /// `docker.io/library/busybox:latest`, with `@digest` where there is one.
  public var canonical: String { "\(registry)/\(repository)" + suffix }

  /// As people write it: `busybox:latest`, `localhost:5000/app:1`.
  public var familiar: String { familiarRepository + suffix }

  /// The familiar name without tag and digest: `busybox`.
  public var familiarRepository: String {
    guard registry == "docker.io" else { return "\(registry)/\(repository)" }
    return repository.hasPrefix("library/") ? String(repository.dropFirst(8)) : repository
  }

  public var description: String { familiar }

  /// The same name without its digest.
  public var withoutDigest: ImageReference {
    ImageReference(registry: registry, repository: repository, tag: tag ?? "latest", digest: nil)
  }

  /// The same repository and tag, with `digest`.
  public func with(digest: Digest) -> ImageReference {
    ImageReference(registry: registry, repository: repository, tag: tag, digest: digest)
  }

  /// The same repository, with `tag` and no digest.
  public func with(tag: String) throws -> ImageReference {
    try ImageReference("\(registry)/\(repository):\(tag)")
  }

  public static func < (a: ImageReference, b: ImageReference) -> Bool { a.canonical < b.canonical }

  private var suffix: String { (tag.map { ":" + $0 } ?? "") + (digest.map { "@" + $0.text } ?? "") }

  private static func isHex(_ byte: UInt8) -> Bool { (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 102) }

  private static func looksLikeHost(_ part: Substring) -> Bool {
    guard part.contains(".") || part.contains(":") || part == "localhost" || part.contains(where: \.isUppercase)
    else { return false }
    return !part.isEmpty
      && part.utf8.allSatisfy {
        ($0 >= 48 && $0 <= 57) || ($0 | 32 >= 97 && $0 | 32 <= 122) || [45, 46, 58, 91, 93].contains($0)
      }
  }

  private static func isTag(_ word: String) -> Bool {
    guard let first = word.utf8.first, word.utf8.count <= 128, first != 46, first != 45 else { return false }
    return word.utf8.allSatisfy {
      ($0 >= 48 && $0 <= 57) || ($0 | 32 >= 97 && $0 | 32 <= 122) || $0 == 95 || $0 == 46 || $0 == 45
    }
  }

  /// Lower-case letters and digits, separated by `.`, one or two `_`, or any number of `-`.
  private static func isComponent(_ part: Substring) -> Bool {
    var separator: [UInt8] = []
    var seen = false
    for byte in part.utf8 {
      switch byte {
      case 48...57, 97...122:
        if !separator.isEmpty {
          let isDashes = separator.allSatisfy { $0 == 45 }
          guard seen, isDashes || separator == [46] || separator == [95] || separator == [95, 95] else { return false }
          separator = []
        }
        seen = true
      case 45, 46, 95: separator.append(byte)
      default: return false
      }
    }
    return seen && separator.isEmpty
  }
}
