internal import HTTP

/// `host[:port]` of a registry.
struct RegistryName {
  /// As it is written: `localhost:5000`, `[::1]:5000`.
  let text: String
  /// Without port and brackets: `localhost`, `::1`.
  let name: String

  init(_ text: String) {
    self.text = text
    if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
      name = String(text[text.index(after: text.startIndex)..<end])
    } else if let colon = text.firstIndex(of: ":"), !text[text.index(after: colon)...].contains(":") {
      name = String(text[..<colon])
    } else {
      name = text
    }
  }

  /// Whether it may stand in a URL, and name a directory.
  var isValid: Bool {
    guard let first = name.utf8.first, first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
    return text.utf8.allSatisfy {
      ($0 >= 48 && $0 <= 57) || ($0 | 32 >= 97 && $0 | 32 <= 122) || [45, 46, 58, 91, 93, 95].contains($0)
    }
  }

  /// Whether it is this machine: `localhost`, 127.0.0.0/8, `::1`.
  var isLoopback: Bool {
    name.lowercased() == "localhost" || IPAddress(name)?.isLoopback == true
  }
}
