/// Numbers of the kernel's interface that plans are made of (linux/sched.h, linux/mount.h, sys/mount.h).
enum Kernel {
  static let signalKill: UInt64 = 9

  /// Attributes of one mount (mount_setattr(2)).
  enum Attribute {
    static let readonly: UInt64 = 0x1
    static let noSetUID: UInt64 = 0x2
    static let noDevices: UInt64 = 0x4
    static let noExecute: UInt64 = 0x8
    static let noAccessTime: UInt64 = 0x10
    static let strictAccessTime: UInt64 = 0x20
    static let noDirectoryAccessTime: UInt64 = 0x80
    static let noSymlinkFollow: UInt64 = 0x20_0000
  }

  /// Where mounts below a mount go (mount_namespaces(7)).
  enum Propagation: UInt64 {
    case unbindable = 0x2_0000
    case `private` = 0x4_0000
    case slave = 0x8_0000
    case shared = 0x10_0000

    /// `private`.
    var name: String {
      switch self {
      case .unbindable: "unbindable"
      case .private: "private"
      case .slave: "slave"
      case .shared: "shared"
      }
    }
  }

  /// The most lowers an overlay has.
  static let maximalLowers = 500

  static let characterDevice: UInt64 = 0o020000

  /// A device number as mknod(2) takes it, for majors below 4096 and minors below 256.
  static func deviceNumber(_ major: UInt64, _ minor: UInt64) -> UInt64 { major << 8 | minor }
}
