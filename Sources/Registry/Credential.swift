/// What a registry or its token server is shown.
public enum Credential: Sendable, Hashable {
  case password(user: String, password: String)
  /// A refresh token of the token server, which docker's helpers hand out as the password of the user `<token>`.
  case identityToken(String)
  /// A bearer token to be sent as it is.
  case registryToken(String)
}
