/// What a server asks for before it answers (RFC 9110, 11.6.1):
/// `Bearer realm="https://auth.example/token",service="x"`.
struct AuthenticateChallenge: Sendable, Equatable {
  /// In lower case: `basic`, `bearer`.
  var scheme: String
  /// By their names in lower case; the first of several with one name.
  var parameters: [String: String] = [:]

  /// Reads the values of all `WWW-Authenticate` fields, several challenges in each. What is malformed is left out.
  static func parse(_ values: [String]) -> [AuthenticateChallenge] {
    var out: [AuthenticateChallenge] = []
    for value in values.prefix(16) where value.utf8.count <= 16 * 1024 {
      var reader = ChallengeReader(bytes: Array(value.utf8))
      out += reader.challenges()
    }
    return out
  }
}

private struct ChallengeReader {
  let bytes: [UInt8]
  var at = 0

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  mutating func challenges() -> [AuthenticateChallenge] {
    var out: [AuthenticateChallenge] = []
    var isBehindComma = true
    while let byte = next, out.count <= 32 {
      if byte == UInt8(ascii: ",") {
        isBehindComma = true
        at += 1
      } else if byte == 32 || byte == 9 {
        at += 1
      } else if let word = token() {
        skipBlanks()
        if next == UInt8(ascii: "="), let value = parameterValue() {
          if var challenge = out.popLast() {
            let name = word.lowercased()
            if challenge.parameters[name] == nil, challenge.parameters.count < 64 { challenge.parameters[name] = value }
            out.append(challenge)
          }
        } else if isBehindComma {
          out.append(AuthenticateChallenge(scheme: word.lowercased()))
        }
        isBehindComma = false
      } else {
        at += 1
      }
    }
    return out
  }

  private mutating func skipBlanks() {
    while let byte = next, byte == 32 || byte == 9 { at += 1 }
  }

  private mutating func token() -> String? {
    let start = at
    while let byte = next, isTokenByte(byte) { at += 1 }
    return at == start ? nil : String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private func isTokenByte(_ byte: UInt8) -> Bool {
    (byte >= 48 && byte <= 57) || (byte | 32 >= 97 && byte | 32 <= 122) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }

  /// What is behind the `=` at this place; nil, and all `=` skipped, if it is no value but the end of a token68.
  private mutating func parameterValue() -> String? {
    at += 1
    skipBlanks()
    guard next == UInt8(ascii: "\"") else {
      if let word = looseToken() { return word }
      while next == UInt8(ascii: "=") { at += 1 }
      return nil
    }
    at += 1
    var out: [UInt8] = []
    while let byte = next {
      at += 1
      if byte == UInt8(ascii: "\"") { return String(decoding: out, as: UTF8.self) }
      if byte == UInt8(ascii: "\\"), let escaped = next {
        out.append(escaped)
        at += 1
      } else {
        out.append(byte)
      }
    }
    return nil
  }

  /// A value without quotes, as lenient servers write them: up to the comma or blank.
  private mutating func looseToken() -> String? {
    let start = at
    while let byte = next, byte > 32, byte < 127, byte != UInt8(ascii: ","), byte != UInt8(ascii: "=") || at > start {
      at += 1
    }
    return at == start ? nil : String(decoding: bytes[start..<at], as: UTF8.self)
  }
}
