internal import HTTP
internal import Synchronization

/// What servers say beside their answers, told once each.
final class Notices: Sendable {
  private let listener: @Sendable (String) -> Void
  private let told = Mutex<Set<String>>([])

  init(_ listener: @escaping @Sendable (String) -> Void) { self.listener = listener }

  /// Tells `text` unless something of the same `key` was told before.
  func tell(_ text: String, key: String? = nil) {
    let isNew = told.withLock { $0.count < 1000 && $0.insert(key ?? text).inserted }
    if isNew { listener(text) }
  }

  /// Looks through the fields of an answer of `host`: warnings (OCI distribution-spec 1.1, Warnings), and limits that
  /// are almost reached.
  func look(at fields: HTTPFields, host: String) {
    for value in fields.values("Warning").prefix(8) {
      if let text = Notices.warning(value) { tell("\(host) says: \(text)") }
    }
    if let remaining = Notices.number(fields["ratelimit-remaining"]) {
      let limit = Notices.number(fields["ratelimit-limit"])
      guard remaining <= max(3, (limit ?? 0) / 10) else { return }
      let of = limit.map { " of \($0)" } ?? ""
      tell("\(host) allows \(remaining)\(of) more pulls for now", key: "limit of \(host)")
    }
  }

  /// The text of `299 - "text"`; nil for other codes.
  static func warning(_ value: String) -> String? {
    guard value.hasPrefix("299 "), value.utf8.count <= 4096, let open = value.firstIndex(of: "\"") else { return nil }
    var out = ""
    var isEscaped = false
    for character in value[value.index(after: open)...] {
      if isEscaped {
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
        continue
      } else if character == "\"" {
        break
      }
      out.append(character)
    }
    let text = ForeignText.line(out)
    return text.isEmpty ? nil : text
  }

  /// `76` of `76;w=21600`.
  private static func number(_ value: String?) -> Int? {
    guard let value else { return nil }
    return Int(value.prefix { $0 != ";" }.filter { $0 != " " })
  }
}
