/// A content address, `algorithm:encoded` (OCI image-spec 1.1, descriptor.md, Digests).
///
/// A `Digest` that exists is well-formed: the algorithm and encoding follow the grammar, and `sha256` and `sha512`
/// have the right number of lower-case hexadecimal digits.
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The whole text, `sha256:e3b0...`.
  public let text: String

  /// Parses `text`; throws a `Failure` that names it if it does not follow the grammar.
  public init(_ text: String) throws {
    guard Digest.isWellFormed(text) else {
      throw Failure("parse digest \"\(text)\"", "expected algorithm:hex, such as sha256 and 64 digits")
    }
    self.text = text
  }

  /// The digest whose 32 raw bytes are `bytes`.
  init(sha256Bytes bytes: [UInt8]) {
    let digits: [UInt8] = Array("0123456789abcdef".utf8)
    var out: [UInt8] = Array("sha256:".utf8)
    out.reserveCapacity(71)
    for byte: UInt8 in bytes {
      out.append(digits[Int(byte >> 4)])
      out.append(digits[Int(byte & 15)])
    }
    text = String(decoding: out, as: UTF8.self)
  }

  /// The SHA-256 of `bytes`.
  public static func sha256(_ bytes: [UInt8]) -> Digest {
    var hasher = SHA256Hasher()
    hasher.update(bytes)
    return hasher.digest()
  }

  /// The SHA-256 of the UTF-8 bytes of `text`.
  public static func sha256(_ text: String) -> Digest {
    var hasher = SHA256Hasher()
    hasher.update(text)
    return hasher.digest()
  }

  /// `sha256` of `sha256:e3b0...`.
  public var algorithm: String { String(text[..<colon]) }

  /// The part after the colon: 64 digits for sha256.
  public var encoded: String { String(text[text.index(after: colon)...]) }

  /// The first 12 digits, as people are shown.
  public var short: String { String(encoded.prefix(12)) }

  public var description: String { text }

  public static func < (a: Digest, b: Digest) -> Bool { a.text < b.text }

  // A digest that exists has a colon.
  // swift-format-ignore: NeverForceUnwrap
  private var colon: String.Index { text.firstIndex(of: ":")! }

  private static func isWellFormed(_ text: String) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty else { return false }
    var needsComponent = true
    for byte in parts[0].utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): needsComponent = false
      case UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        if needsComponent { return false }
        needsComponent = true
      default: return false
      }
    }
    if needsComponent { return false }
    let hexDigits: Int? =
      switch parts[0] {
      case "sha256": 64
      case "sha512": 128
      default: nil
      }
    if let hexDigits {
      return parts[1].utf8.count == hexDigits
        && parts[1].utf8.allSatisfy {
          ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
        }
    }
    return parts[1].utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "="), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }
}
