internal import Core
internal import Linux

/// The id maps of a new user namespace (user_namespaces(7)).
enum IDMaps {
  /// Writes those of `spec` for the process `pid`.
  static func write(_ spec: ProcessSpec, of pid: Int32) throws {
    if Machine.effectiveUserID != 0 || UserNamespace.hasSingleID {
      // Who is not privileged must first give up setgroups(2).
      try put("deny", "/proc/\(pid)/setgroups")
    }
    try put(text(spec.gidMappings), "/proc/\(pid)/gid_map")
    try put(text(spec.uidMappings), "/proc/\(pid)/uid_map")
  }

  private static func text(_ mappings: [IDMapping]) -> String {
    mappings.map { "\($0.inside) \($0.outside) \($0.count)\n" }.joined()
  }

  private static func put(_ text: String, _ path: String) throws { try OpenFile(path, .append).write(text) }
}
