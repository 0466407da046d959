public import Core

/// How registries are talked to, beside what their configuration files say.
public struct RegistryOptions: Sendable {
  /// `--tls-verify`; nil leaves it to the configuration.
  public var verifiesTLS: Bool?
  /// `--creds`: `user:password`, or `user` alone.
  public var credentials: String?
  /// `--authfile`.
  public var authFile: String?
  /// `--cert-dir`.
  public var certificateDirectory: String?
  /// The client's variables, `NAME=value`: proxies, places of files.
  public var environment: [String]
  /// Told what a registry wants its users to know, a line each.
  public var notice: @Sendable (String) -> Void

  public init(environment: [String], notice: @escaping @Sendable (String) -> Void) {
    self.environment = environment
    self.notice = notice
  }
}

/// What a pull did.
public struct PullOutcome: Sendable {
  /// `docker.io/library/busybox:latest`.
  public var name: String
  public var familiar: String
  /// Of the manifest or index that the name names.
  public var digest: Digest
  public var imageID: Digest
  /// False if all of it was there.
  public var isNew: Bool
}

/// What a push did.
public struct PushOutcome: Sendable {
  /// The tag, or the digest where the name has no tag.
  public var tag: String
  public var digest: Digest
  /// Bytes of the manifest.
  public var size: Int64
}

/// How a push compresses.
public struct PushOptions: Sendable {
  /// `gzip`, `zstd`, `uncompressed`, or nil for layers as they are, those that were built with gzip.
  public var compression: String?
  public var level: Int?
  /// Whether compressed layers are compressed anew.
  public var isForced = false
  /// The platform whose image goes alone; nil for all that the name stands for.
  public var platform: String?

  public init() {}
}

/// Whether an image is asked for at its registry.
public enum PullPolicy: String, Sendable, CaseIterable {
  /// Each time; what is there already is not fetched again.
  case always
  /// Where the store does not have it.
  case missing
  case never
}
