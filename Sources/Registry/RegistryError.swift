internal import Core
internal import HTTP

/// Why one endpoint did not give what it was asked for.
struct RegistryError: Error, Sendable {
  enum Kind: Sendable, Equatable {
    /// No answer.
    case network
    /// It has no such thing.
    case notFound
    /// It wants other credentials.
    case unauthorized
    /// It refuses, or answers nonsense.
    case refused
  }

  var kind: Kind
  /// Lower case, no period.
  var reason: String
  var hint: String?

  init(_ kind: Kind, _ reason: String, hint: String? = nil) {
    self.kind = kind
    self.reason = reason
    self.hint = hint
  }
}

/// A whole answer with the content that was not streamed elsewhere.
struct Answer: Sendable {
  var status: Int
  var fields: HTTPFields
  /// Content of answers that are no success only up to a limit.
  var content: [UInt8] = []
  /// Who answered, after redirects.
  var url: HTTPURL
  /// Whether it was another server than the one that was asked.
  var isElsewhere = false

  var isSuccess: Bool { (200..<300).contains(status) }

  /// The registry's own words (OCI distribution-spec 1.1, Error Codes), for people and bounded; nil if it has none.
  var message: String? {
    guard let json = try? JSON.parse(content) else { return nil }
    var out: [String] = []
    for error in (json["errors"]?.array ?? []).prefix(3) {
      let code = error["code"]?.string
      let text = error["message"]?.string ?? ""
      let words = [text, code.map { text.isEmpty ? $0 : "(\($0))" } ?? ""].filter { !$0.isEmpty }
      if !words.isEmpty { out.append(words.joined(separator: " ")) }
    }
    if out.isEmpty, let text = json["message"]?.string ?? json["details"]?.string ?? json["error"]?.string {
      out = [text]
    }
    let text = ForeignText.line(out.joined(separator: "; "))
    return text.isEmpty ? nil : text
  }
}

/// Texts that a server chose.
enum ForeignText {
  /// `text` on one line, without control characters and not too long.
  static func line(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars.prefix(400) {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: out += " "
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}
