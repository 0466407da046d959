internal import Synchronization

/// What credential helpers answered, so that each is run once for a server, however many requests a command sends.
final class CredentialAnswers: Sendable {
  private struct Question: Hashable {
    var program: String
    var server: String
  }

  private let known = Mutex<[Question: Credential?]>([:])

  /// What `program` knows of `server`. Others who ask wait for the answer; a failure is no answer.
  func get(_ program: CredentialProgram, _ server: String) throws -> Credential? {
    let question = Question(program: program.name, server: server)
    return try known.withLock { known in
      if let answer = known[question] { return answer }
      let answer = try program.get(server)
      known[question] = .some(answer)
      return answer
    }
  }

  /// Forgets all: something was stored or erased.
  func forget() { known.withLock { $0 = [:] } }
}
