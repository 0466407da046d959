internal import Core

extension NamespaceSpec.Kind {
  /// The CLONE_NEW flag (clone(2)).
  var cloneFlag: UInt64 {
    switch self {
    case .time: 0x80
    case .mount: 0x2_0000
    case .cgroup: 0x200_0000
    case .uts: 0x400_0000
    case .ipc: 0x800_0000
    case .user: 0x1000_0000
    case .pid: 0x2000_0000
    case .network: 0x4000_0000
    }
  }
}
