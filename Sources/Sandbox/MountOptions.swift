internal import Core

/// The options of a mount, taken apart into what belongs to the mount and what to the file system.
struct MountOptions: Equatable {
  /// Attributes to set and to clear.
  var set: UInt64 = 0
  var clear: UInt64 = 0
  var recursive = false
  var propagation: Kernel.Propagation?
  /// `size=64m`, in the order given.
  var data: [String] = []

  private static let attributes: [String: (bit: UInt64, set: Bool)] = [
    "ro": (Kernel.Attribute.readonly, true), "rw": (Kernel.Attribute.readonly, false),
    "nosuid": (Kernel.Attribute.noSetUID, true), "suid": (Kernel.Attribute.noSetUID, false),
    "nodev": (Kernel.Attribute.noDevices, true), "dev": (Kernel.Attribute.noDevices, false),
    "noexec": (Kernel.Attribute.noExecute, true), "exec": (Kernel.Attribute.noExecute, false),
    "noatime": (Kernel.Attribute.noAccessTime, true), "strictatime": (Kernel.Attribute.strictAccessTime, true),
    "nodiratime": (Kernel.Attribute.noDirectoryAccessTime, true),
    "diratime": (Kernel.Attribute.noDirectoryAccessTime, false),
    "nosymfollow": (Kernel.Attribute.noSymlinkFollow, true),
    "symfollow": (Kernel.Attribute.noSymlinkFollow, false),
  ]

  private static let propagations: [String: Kernel.Propagation] = [
    "private": .private, "rprivate": .private, "slave": .slave, "rslave": .slave, "shared": .shared,
    "rshared": .shared, "unbindable": .unbindable, "runbindable": .unbindable,
  ]

  /// Takes the options of `mount` apart; a later one wins over its opposite.
  init(_ mount: MountSpec) {
    for option in mount.options {
      if let (bit, sets) = Self.attributes[option] {
        set = sets ? set | bit : set & ~bit
        clear = sets ? clear & ~bit : clear | bit
      } else if let wanted = Self.propagations[option] {
        propagation = wanted
      } else if option == "rbind" {
        recursive = true
      } else if !["bind", "defaults", "relatime"].contains(option) {
        data.append(option)
      }
    }
  }

  /// `ro,nosuid` of attribute bits, sorted by bit.
  static func names(_ bits: UInt64) -> String {
    attributes.filter { $0.value.set && bits & $0.value.bit != 0 }
      .sorted { $0.value.bit < $1.value.bit }.map(\.key).joined(separator: ",")
  }
}
