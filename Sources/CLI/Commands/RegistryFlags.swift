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

  /// What every command that sends layers takes.
  static let compression: [Flag] = [
    Flag(
      "compression", .string, "Compress layers (default: as they are; built ones with gzip)",
      choices: ["gzip", "zstd", "uncompressed"], placeholder: "method"),
    Flag(
      "compression-format", .string, "The same, as podman calls it", choices: ["gzip", "zstd", "uncompressed"],
      placeholder: "method", isHidden: true),
    Flag("compression-level", .int, "How hard to compress: gzip 0-9, zstd 1-19", placeholder: "level"),
    Flag("force-compression", .bool, "Compress layers that are compressed already, too"),
  ]
}

extension Invocation {
  /// What the flags of `Flag.compression` say.
  func pushOptions() throws -> PushOptions {
    var push = PushOptions()
    push.compression = string("compression") ?? string("compression-format")
    push.level = int("compression-level")
    push.isForced = bool("force-compression")
    if push.level != nil, push.compression == "uncompressed" { throw usage("a level needs gzip or zstd") }
    return push
  }

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
