internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave login`.
  static let login = Command(
    path: ["login"], usage: "[OPTIONS] [SERVER]", summary: "Log in to a registry (default: Docker Hub)",
    details: "The password is kept where Docker keeps it: in ~/.docker/config.json, readable by you alone, or with\n"
      + "the credential helper that this file names. It is better given with --password-stdin than with -p.",
    flags: [
      Flag("password", "p", .string, "The password, or an access token"),
      Flag("password-stdin", .bool, "Read the password from standard input"),
      Flag("username", "u", .string, "The user's name"),
      Flag("get-login", .bool, "Print the user who is logged in, and stop"),
    ] + Flag.registry.filter { $0.name != "creds" }, arity: .atMost(1), argumentKind: Command.ArgumentKind.none,
    action: logIn)

  /// `stave logout`.
  static let logout = Command(
    path: ["logout"], usage: "[OPTIONS] [SERVER]", summary: "Log out from a registry (default: Docker Hub)",
    flags: Flag.registry.filter { $0.name == "authfile" }, arity: .atMost(1),
    argumentKind: Command.ArgumentKind.none
  ) { call in
    let server = call.arguments.first ?? Engine.dockerHub
    let wasThere = try await call.engine.logout(server, call.registryOptions)
    call.console.line(
      wasThere ? "Removing login credentials for \(server)" : "Not logged in to \(server)")
    return 0
  }
}

private func logIn(_ call: Invocation) async throws -> Int32 {
  let server = call.arguments.first ?? Engine.dockerHub
  let options = call.registryOptions
  if call.bool("get-login") {
    guard let user = try await call.engine.user(of: server, options) else {
      throw Failure("", "not logged in to \(server)")
    }
    call.console.line(user)
    return 0
  }
  let (user, password) = try credentials(call)
  let outcome = try await interruptible { try await call.engine.login(server, user, password, options) }
  for warning in outcome.warnings { call.console.warn(warning) }
  call.console.line("Login Succeeded")
  return 0
}

/// What the flags give, asked for on the terminal where they don't.
private func credentials(_ call: Invocation) throws -> (user: String, password: String) {
  var user = call.string("username") ?? ""
  if call.bool("password-stdin") {
    if call.has("password") { throw Failure("", "--password and --password-stdin are mutually exclusive") }
    if user.isEmpty { throw Failure("", "Must provide --username with --password-stdin") }
    guard let bytes = StandardStream.input.readAll(limit: 1 << 20) else {
      throw Failure("read the password from standard input", "it can't be read, or is larger than 1 MiB")
    }
    var text = String(decoding: bytes, as: UTF8.self)
    while text.hasSuffix("\n") || text.hasSuffix("\r\n") || text.hasSuffix("\r") { text.removeLast() }
    if text.isEmpty { throw Failure("", "password is empty") }
    return (user, text)
  }
  if let password = call.string("password") {
    call.console.warn("Using --password via the CLI is insecure. Use --password-stdin.")
    if user.isEmpty { throw Failure("", "Must provide --username with --password") }
    return (user, password)
  }
  guard StandardStream.input.isTerminal else {
    throw Failure(
      "", "Cannot perform an interactive login from a non TTY device",
      hint: "give --username and --password-stdin")
  }
  if user.isEmpty {
    call.console.error("Username: ")
    user = readLine() ?? ""
    if user.isEmpty { throw Failure("", "username is required") }
  }
  call.console.error("Password: ")
  let password = try StandardStream.input.readSecret()
  call.console.error("\n")
  guard let password else { throw CancellationError() }
  if password.isEmpty { throw Failure("", "password is required") }
  return (user, password)
}
