internal import CLinux
internal import Core
internal import Glibc

/// What this machine has for commands of ordinary users: who the user is, tools, ranges, switches of the kernel.
public struct RootlessFacts: Sendable {
  /// A program that writes id maps, and where it is.
  public struct Tool: Sendable, Equatable {
    public var name: String
    public var path: String?
  }

  /// Who the process was before it entered a namespace.
  public let uid: UInt32
  public let gid: UInt32
  /// The account's name and home, empty if the machine does not know it.
  public let user: String
  public let home: String
  public let userTool: Tool
  public let groupTool: Tool
  public let userRanges: SubordinateIDs
  public let groupRanges: SubordinateIDs
  /// `user.max_user_namespaces` and the like with their values; those that this kernel has.
  public let switches: [(name: String, value: String)]

  private init(uid: UInt32, gid: UInt32) {
    self.uid = uid
    self.gid = gid
    (user, home) = Self.account(uid)
    userTool = Self.tool("newuidmap")
    groupTool = Self.tool("newgidmap")
    userRanges = SubordinateIDs(file: "/etc/subuid", name: user, uid: uid, own: uid)
    groupRanges = SubordinateIDs(file: "/etc/subgid", name: user, uid: uid, own: gid)
    switches = Self.switchNames.compactMap { name in
      let path = "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
      guard let bytes = try? HostPath.read(path, limit: 4096) else { return nil }
      return (name, String(decoding: bytes.prefix { $0 > 32 }, as: UTF8.self))
    }
  }

  /// The machine as this process sees it: in a user namespace the switches are those of the namespace.
  static func looked() -> RootlessFacts {
    RootlessFacts(uid: Machine.effectiveUserID, gid: Machine.effectiveGroupID)
  }

  private static let switchNames = [
    "user.max_user_namespaces", "kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns",
  ]

  /// The user's name, or its number.
  public var who: String { user.isEmpty ? String(uid) : user }

  /// What to do where there are no ranges of ids.
  public var mappingHint: String { "install uidmap and add a range for \(who) to /etc/subuid and /etc/subgid" }

  private func value(_ name: String) -> String? { switches.first { $0.name == name }?.value }

  var isRestrictedByAppArmor: Bool { value(Self.switchNames[2]) == "1" }

  /// Why there is no user namespace, after unshare(2) answered `error`, and what to do.
  func refusal(_ error: SystemError.Code) -> (reason: String, hint: String) {
    for name in Self.switchNames where name != Self.switchNames[2] && value(name) == "0" {
      return (
        "user namespaces are switched off (\(name) = 0)",
        "as root: sysctl -w \(name)=\(name.hasPrefix("user.") ? "15000" : "1")"
      )
    }
    if isRestrictedByAppArmor {
      return (
        "AppArmor keeps user namespaces from ordinary programs (\(Self.switchNames[2]) = 1)",
        "as root: sysctl -w \(Self.switchNames[2])=0, or give stave an AppArmor profile with \"userns,\""
      )
    }
    if Machine.hasSystemCallFilter {
      return (
        "a system call filter refuses unshare(2), as in a container with default privileges: \(error.text)",
        "start the outer container with --privileged"
      )
    }
    return ("unshare(2): \(error.text)", "run stave as root")
  }

  private static func tool(_ name: String) -> Tool {
    let path = Machine.environment("PATH") ?? ""
    let places = path.split(separator: ":").map(String.init) + ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/bin"]
    let found = places.first { $0.hasPrefix("/") && access("\($0)/\(name)", X_OK) == 0 }
    return Tool(name: name, path: found.map { "\($0)/\(name)" })
  }

  private static func account(_ uid: UInt32) -> (String, String) {
    let size = 4096
    var name = [CChar](repeating: 0, count: size)
    var home = name
    stave_account(uid, &name, &home, UInt32(size))
    func text(_ bytes: [CChar]) -> String {
      String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return (text(name), text(home))
  }
}
