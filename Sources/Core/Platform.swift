/// An operating system and processor, `linux/arm64/v8` (OCI image-spec 1.1, image-index.md, platform).
public struct Platform: Hashable, Sendable, CustomStringConvertible {
  public var os: String
  public var architecture: String
  /// `v7`; empty when the architecture has one form only.
  public var variant: String
  /// `10.0.14393.1066`: told of Windows images; empty elsewhere.
  public var osVersion: String
  /// `win32k`: what the image needs of the system.
  public var osFeatures: [String]

  public init(
    os: String, architecture: String, variant: String = "", osVersion: String = "", osFeatures: [String] = []
  ) {
    self.os = os
    self.architecture = architecture
    self.variant = variant
    self.osVersion = osVersion
    self.osFeatures = osFeatures
  }

  /// Reads the platform of a descriptor; throws a `Failure` that names the member at fault.
  init(json: JSON) throws {
    let what = "read platform"
    os = try json.required("os", what)
    architecture = try json.required("architecture", what)
    variant = json["variant"]?.string ?? ""
    osVersion = json["os.version"]?.string ?? ""
    osFeatures = try json.stringArray("os.features", what) ?? []
  }

  var json: JSON {
    JSON.members([
      "os": .string(os), "architecture": .string(architecture), "variant": JSON.nonEmpty(variant),
      "os.version": JSON.nonEmpty(osVersion), "os.features": JSON.nonEmpty(osFeatures),
    ])
  }

  /// Parses `linux/amd64`, `linux/arm/v7`, or an architecture alone; common aliases (`x86_64`, `aarch64`) are
  /// normalised.
  public init(_ text: String) throws {
    let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Platform.isAllowed) })
    else { throw Failure("parse platform \"\(text)\"", "expected os/architecture[/variant], such as linux/amd64") }
    if parts.count == 1 {
      self = Platform.normalised(os: "linux", architecture: parts[0], variant: "")
      guard Platform.knownArchitectures.contains(architecture) else {
        throw Failure(
          "parse platform \"\(text)\"",
          "unknown architecture" + didYouMean(text, in: Platform.knownArchitectures))
      }
    } else {
      self = Platform.normalised(os: parts[0], architecture: parts[1], variant: parts.count > 2 ? parts[2] : "")
    }
  }

  public var description: String { variant.isEmpty ? "\(os)/\(architecture)" : "\(os)/\(architecture)/\(variant)" }

  /// The platform this binary was compiled for.
  public static var current: Platform {
    #if arch(arm64)
    Platform(os: "linux", architecture: "arm64")
    #elseif arch(x86_64)
    Platform(os: "linux", architecture: "amd64")
    #else
    #error("unknown architecture")
    #endif
  }

  private static let knownArchitectures: [String] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x",
  ]

  private static func isAllowed(_ byte: UInt8) -> Bool {
    (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 122) || byte == 46 || byte == 95 || byte == 45
  }

  private static func normalised(os: String, architecture: String, variant: String) -> Platform {
    switch (architecture, variant) {
    case ("x86_64", _), ("x86-64", _), ("amd64", "v1"): Platform(os: os, architecture: "amd64")
    case ("aarch64", _), ("arm64", "8"), ("arm64", "v8"): Platform(os: os, architecture: "arm64")
    case ("i386", _), ("i686", _): Platform(os: os, architecture: "386")
    case ("armhf", _), ("arm", ""), ("arm", "7"): Platform(os: os, architecture: "arm", variant: "v7")
    case ("armel", _): Platform(os: os, architecture: "arm", variant: "v6")
    default: Platform(os: os, architecture: architecture, variant: variant)
    }
  }
}
