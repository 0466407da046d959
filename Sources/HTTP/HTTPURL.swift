/// An absolute URL of scheme http or https, without user, password and fragment (RFC 3986).
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
  /// `http` or `https`.
  public let scheme: String
  /// In lower case, an IPv6 address in brackets.
  public let host: String
  /// The port that is written, or the scheme's.
  public let port: Int
  /// The path, which begins with `/`, and the query: `/v2/a/blobs/uploads/1?state=x`.
  public let target: String

  /// The longest URL that is read, in bytes: those of signed downloads have thousands.
  public static let maximumLength = 32 * 1024

  /// Parses `text`; nil if it is none, or holds a user, a blank or a character beyond ASCII.
  public init?(_ text: String) {
    guard text.utf8.count <= HTTPURL.maximumLength, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 92 }),
      let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://")
    else { return nil }
    let scheme = text[..<colon].lowercased()
    guard scheme == "http" || scheme == "https" else { return nil }
    let rest = text[colon...].dropFirst(3).prefix { $0 != "#" }
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    guard let (host, port) = HTTPURL.split(authority) else { return nil }
    let tail = rest[authority.endIndex...]
    self.scheme = scheme
    self.host = host
    self.port = port ?? (scheme == "https" ? 443 : 80)
    target = tail.hasPrefix("/") ? String(tail) : "/" + tail
  }

  private init(_ base: HTTPURL, target: String) {
    scheme = base.scheme
    host = base.host
    port = base.port
    self.target = target
  }

  /// `host[:port]` in its two parts; nil if it has a user or no host.
  private static func split(_ authority: Substring) -> (host: String, port: Int?)? {
    var host = authority
    var port: Int?
    if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
      host = authority[..<colon]
      let digits = authority[authority.index(after: colon)...]
      if !digits.isEmpty {
        guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = Int(digits),
          (1...65535).contains(number)
        else { return nil }
        port = number
      }
    }
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]") && host.utf8.count > 2
    let inner = isBracketed ? host.dropFirst().dropLast() : host
    let others: String = isBracketed ? ":.%-_~" : ".-_~%"
    guard !inner.isEmpty,
      inner.utf8.allSatisfy({
        ($0 >= 48 && $0 <= 57) || ($0 | 32 >= 97 && $0 | 32 <= 122) || others.utf8.contains($0)
      })
    else { return nil }
    return (host.lowercased(), port)
  }

  /// What `reference`, of a `Location` or `Link` field, means on this page; nil if it is no URL of ours.
  public func resolve(_ reference: String) -> HTTPURL? {
    let text = reference.prefix { $0 != "#" }
    guard !text.isEmpty, text.utf8.count <= HTTPURL.maximumLength else { return nil }
    if let colon = text.firstIndex(of: ":"), !text[..<colon].contains(where: { "/?".contains($0) }) {
      return HTTPURL(String(text))
    }
    if text.hasPrefix("//") { return HTTPURL("\(scheme):\(text)") }
    let path = target.prefix { $0 != "?" }
    let full: String
    if text.hasPrefix("/") {
      full = String(text)
    } else if text.hasPrefix("?") {
      full = String(path) + text
    } else {
      // The path of a URL begins with a slash.
      full = String(path[...(path.lastIndex(of: "/") ?? path.startIndex)]) + text
    }
    guard full.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 92 }) else { return nil }
    let newPath = full.prefix { $0 != "?" }
    return HTTPURL(self, target: HTTPURL.withoutDots(newPath) + full[newPath.endIndex...])
  }

  /// `path` with `.` and `..` carried out (RFC 3986, 5.2.4).
  private static func withoutDots(_ path: Substring) -> String {
    let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    guard parts.contains(where: { $0 == "." || $0 == ".." }) else { return String(path) }
    var out: [Substring] = []
    for (at, part) in parts.enumerated() {
      let isLast = at == parts.count - 1
      switch part {
      case ".": if isLast { out.append("") }
      case "..":
        _ = out.popLast()
        if isLast { out.append("") }
      default: out.append(part)
      }
    }
    return "/" + out.joined(separator: "/")
  }

  /// The port, unless it is the scheme's.
  private var shownPort: String { port == (scheme == "https" ? 443 : 80) ? "" : ":\(port)" }

  /// `https://host:5000`: what a password may be sent to again.
  public var origin: String { "\(scheme)://\(host)\(shownPort)" }

  /// The host, with the port unless it is the scheme's.
  public var authority: String { host + shownPort }

  /// The whole URL.
  public var description: String { origin + target }

  /// The same URL at another scheme and port.
  public func with(scheme: String, port: Int) -> HTTPURL? {
    HTTPURL("\(scheme)://\(host):\(port)\(target)")
  }

  /// `text` as a value in a query: everything but unreserved characters in `%XX`.
  public static func escape(_ text: String) -> String {
    let digits: [UInt8] = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    for byte: UInt8 in text.utf8 {
      if (byte >= 48 && byte <= 57) || (byte | 32 >= 97 && byte | 32 <= 122) || [45, 46, 95, 126].contains(byte) {
        out.append(byte)
      } else {
        out += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
