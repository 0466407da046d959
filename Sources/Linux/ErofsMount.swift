internal import CLinux
internal import Core
internal import Glibc

/// File-backed EROFS mounts of layer indexes (Linux 6.12).
public enum ErofsMount {
  /// Mounts the index file `index` with `devices`, its tars in the order of its table, read-only and attached nowhere;
  /// returns the mount, a directory.
  ///
  /// Both are opened by the kernel at once and may be renamed or removed afterwards. Throws a `Failure` if the index is
  /// damaged or does not fit the tars, and a `SystemError` if the kernel refuses: `notBlockDevice` where the index
  /// lies on a file system that can't carry a mount, `notPermitted` without the privilege.
  public static func open(index: String, devices: [String]) throws -> OpenFile {
    try verify(index: index, devices: devices)
    return try mount(index, devices: devices)
  }

  /// As `open`, of files or of block devices that stand for them, and without looking into them first.
  public static func mount(_ index: String, devices: [String]) throws -> OpenFile {
    let action = "mount index \(index)"
    let context = OpenFile(
      owning: try check(action) { stave_fsopen("erofs", UInt32(FSOPEN_CLOEXEC)) }, path: "erofs")
    do {
      // A block device that can't be written is refused without.
      try check(action) { stave_fsconfig(context.descriptor, FSCONFIG_SET_FLAG.rawValue, "ro", nil) }
      try set(context, "source", index, action)
      for device in devices { try set(context, "device", device, action) }
      try check(action) {
        stave_fsconfig(context.descriptor, FSCONFIG_CMD_CREATE.rawValue, nil, nil)
      }
    } catch let error as SystemError {
      throw explained(error, context)
    }
    let attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
    let mount = try check(action) {
      stave_fsmount(context.descriptor, UInt32(FSMOUNT_CLOEXEC), UInt32(attributes))
    }
    return OpenFile(owning: mount, path: index)
  }

  private static func set(_ context: OpenFile, _ key: String, _ value: String, _ action: String) throws {
    try check(action) {
      stave_fsconfig(context.descriptor, FSCONFIG_SET_STRING.rawValue, key, value)
    }
  }

  /// `error` with what the file system said of it in its log.
  private static func explained(_ error: SystemError, _ context: OpenFile) -> SystemError {
    var lines: [String] = []
    var buffer = [UInt8](repeating: 0, count: 1024)
    while let count = try? buffer.withUnsafeMutableBytes({ try context.read(into: $0) }), count > 0 {
      // `e text`: the kind of the message stands in front.
      let text = String(decoding: buffer[..<count].dropFirst(2), as: UTF8.self)
      lines.append(text.filter { $0 != "\n" })
    }
    return lines.isEmpty ? error : SystemError(error.code, error.action + " (" + lines.joined(separator: "; ") + ")")
  }
}
