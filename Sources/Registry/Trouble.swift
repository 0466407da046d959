internal import HTTP

/// What may be over at the next try.
enum Trouble {
  case network(HTTPError)
  case status(Answer)
  /// An answer whose content is not what was asked for.
  case content(String)

  /// Whether the answer may be another one later. Of a server that was redirected to, a refusal may be that of a URL
  /// that was signed for a short time.
  static func isPassing(_ answer: Answer) -> Bool {
    RetryPlan.isPassing(answer.status) || (answer.isElsewhere && [401, 403, 404, 410].contains(answer.status))
  }
}

extension EndpointSession {
  /// `trouble` that was not over.
  func refusal(of trouble: Trouble) -> RegistryError {
    switch trouble {
    case .network(let error):
      let hint: String? =
        switch error.reason {
        case .certificate:
          "put the certificate of its authority into /etc/containers/certs.d/\(endpoint.host)/ca.crt, "
            + "or use --tls-verify=false"
        case .tls: "if it speaks http only, use --tls-verify=false"
        default: nil
        }
      return RegistryError(.network, "\(endpoint.host): \(error.text)", hint: hint)
    case .status(let answer): return refusal(of: answer)
    case .content(let text): return RegistryError(.refused, "\(endpoint.host): \(text)")
    }
  }

  /// Why `answer` is none that was hoped for.
  func refusal(of answer: Answer) -> RegistryError {
    let words = answer.message
    let server = answer.url.authority
    let told = words.map { ": \($0)" } ?? ""
    switch answer.status {
    case 401 where !answer.isElsewhere:
      return (try? host.tokens.refusal(endpoint.repository, words))
        ?? RegistryError(.unauthorized, "\(server) wants a login\(told)")
    case 403 where !answer.isElsewhere:
      let found = try? host.tokens.credential(endpoint.repository)
      let who = found.map { "with the credentials of \($0.source)" } ?? "without a login"
      return RegistryError(
        .unauthorized, "\(server) does not allow it \(who)\(told)",
        hint: found == nil ? "log in with \"stave login \(endpoint.host)\"" : "ask for access to \(endpoint)")
    case 404: return RegistryError(.notFound, words.map { "not found on \(server): \($0)" } ?? "not found on \(server)")
    case 413:
      return RegistryError(
        .refused, "\(server) says that this is too large (413)\(told)",
        hint: "a proxy in front of the registry limits the size of uploads; raise that (nginx: client_max_body_size)")
    case 429:
      return RegistryError(
        .refused, "\(server) limits how often it is asked (429)\(told)",
        hint: "try later, or log in with \"stave login\": limits of accounts are higher")
    default: return RegistryError(.refused, "\(server) answered \(answer.status)\(told)")
    }
  }
}
