internal import Core

extension Credential {
  /// The user that stands for an identity token in what docker's helpers say.
  static let tokenUser = "<token>"

  /// A user and the password, or the identity token where the user is `<token>`.
  public init(user: String, secret: String) {
    self = user == Credential.tokenUser ? .identityToken(secret) : .password(user: user, password: secret)
  }

  /// What `--creds` was given, `user:password`. Throws a `Failure` that does not show it.
  public static func parse(_ text: String) throws -> Credential {
    guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
      throw Failure("read --creds", "credentials must be given as user:password", exitCode: 125)
    }
    return Credential(user: String(text[..<colon]), secret: String(text[text.index(after: colon)...]))
  }
}

extension Credential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Never the secret: `password of alice`.
  public var description: String {
    switch self {
    case .password(let user, _): "password of \(user)"
    case .identityToken: "identity token"
    case .registryToken: "registry token"
    }
  }

  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
