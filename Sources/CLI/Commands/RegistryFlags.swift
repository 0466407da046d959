internal import Core
internal import Engine

extension Flag {
  /// What every command that talks to a registry takes.
  static let registry: [Flag] = [
    Flag("authfile", .string, "Read credentials from this file (also REGISTRY_AUTH_FILE)", placeholder: "path"),
    Flag("cert-dir", .string, "Take certificates and keys from this directory", placeholder: "directory"),
    Flag("creds", .string, "Log in for this call only", placeholder: "user[:password]"),
    Flag("tls-verify", .bool, "Verify the registry's certificate; false allows plain HTTP too"),
  ]
}

extension Invocation {
  /// What the flags of `Flag.registry` say.
  var registryOptions: RegistryOptions {
    let console = console
    var options = RegistryOptions(environment: environment) { console.warn(SafeText.line($0)) }
    options.authFile = string("authfile")
    options.certificateDirectory = string("cert-dir")
    options.credentials = string("creds")
    if has("tls-verify") { options.verifiesTLS = bool("tls-verify") }
    return options
  }
}
