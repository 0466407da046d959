internal import Core
internal import Linux

/// Extended attributes as they stand behind an EROFS inode: a header of 12 bytes, then entries of name index, name
/// rest and value, each padded to 4 bytes.
///
/// Kept in memory with the value of i_xattr_icount in front, 2 bytes.
enum ErofsXattrs {
  static let headerSize = 12
  /// What i_xattr_icount can say.
  static let maximumSize = 12 + 4 * 65534

  /// The prefixes that the format has numbers for.
  private static let prefixes: [(number: UInt8, text: String)] = [
    (1, "user."), (2, "system.posix_acl_access"), (3, "system.posix_acl_default"), (4, "trusted."), (6, "security."),
  ]

  /// The number of the prefix of `name` and the rest of it; nil if the format can't hold it.
  static func split(_ name: String) -> (number: UInt8, rest: Substring.UTF8View)? {
    for prefix in prefixes where name.hasPrefix(prefix.text) {
      let rest = name.dropFirst(prefix.text.count).utf8
      let isWhole = prefix.number == 2 || prefix.number == 3
      return rest.isEmpty == isWhole && rest.count <= 255 ? (prefix.number, rest) : nil
    }
    return nil
  }

  /// Whether unpacking sets `xattr` on a file of kind `kind`: overlayfs' own never, those without a prefix of the
  /// format never, `user.` on files and directories only, access control lists if they are well-formed.
  static func isKept(_ xattr: TarEntry.ExtendedAttribute, _ kind: TreeNode.Kind) -> Bool {
    guard !LayerWhiteout.isOverlayAttribute(xattr.name), let prefix = split(xattr.name) else { return false }
    switch prefix.number {
    case 1: return kind == .regular || kind == .directory
    case 2: return kind != .symlink && isAccessControlList(xattr.value)
    case 3: return kind == .directory && isAccessControlList(xattr.value)
    default: return true
    }
  }

  /// Whether `value` has the form that the kernel reads (linux/posix_acl_xattr.h): version 2, then entries of tag (2
  /// bytes), permissions (2) and id (4). With another, no process could use the file.
  private static func isAccessControlList(_ value: [UInt8]) -> Bool {
    guard value.count >= 4, value.count % 8 == 4, value.prefix(4).elementsEqual([2, 0, 0, 0]) else { return false }
    return stride(from: 4, to: value.count, by: 8).allSatisfy { at in
      [1, 2, 4, 8, 16, 32].contains(value[at]) && value[at + 1] == 0 && value[at + 2] < 8 && value[at + 3] == 0
    }
  }

  /// `xattrs`, not empty, encoded. Throws a `Failure` if the format can't hold them.
  static func encode(_ xattrs: [TarEntry.ExtendedAttribute]) throws -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 2 + headerSize)
    for xattr in xattrs {
      guard let (number, rest) = split(xattr.name) else {
        throw Failure("index layer", "an index can't hold the attribute \(xattr.name)")
      }
      guard let size = UInt16(exactly: xattr.value.count) else {
        throw Failure("index layer", "the attribute \(xattr.name) has more than 65535 bytes")
      }
      out.append(UInt8(rest.count))
      out.append(number)
      out.append(UInt8(truncatingIfNeeded: size))
      out.append(UInt8(truncatingIfNeeded: size >> 8))
      out.append(contentsOf: rest)
      out.append(contentsOf: xattr.value)
      while out.count % 4 != 2 { out.append(0) }
    }
    guard out.count - 2 <= maximumSize else { throw Failure("index layer", "a file has too many attributes") }
    let count = (out.count - 2 - headerSize) / 4 + 1
    out[0] = UInt8(truncatingIfNeeded: count)
    out[1] = UInt8(truncatingIfNeeded: count >> 8)
    return out
  }

  /// The number of bytes behind an inode whose i_xattr_icount is `count`.
  static func size(count: Int) -> Int { count == 0 ? 0 : headerSize + 4 * (count - 1) }

  /// The inverse of `encode(_:)`, of bytes that begin with i_xattr_icount and may go on behind the attributes. Nil if
  /// they are malformed, or use shared attributes.
  static func decode(_ bytes: some RandomAccessCollection<UInt8>) -> [TarEntry.ExtendedAttribute]? {
    let all = Array(bytes.prefix(2 + maximumSize))
    guard all.count >= 2 else { return nil }
    let end = 2 + size(count: Int(all[0]) | Int(all[1]) << 8)
    guard end <= all.count else { return nil }
    if end == 2 { return [] }
    guard all[6] == 0 else { return nil }
    var out: [TarEntry.ExtendedAttribute] = []
    var at = 2 + headerSize
    while at < end {
      guard end - at >= 4, let prefix = prefixes.first(where: { $0.number == all[at + 1] })?.text else { return nil }
      let value = at + 4 + Int(all[at])
      let size = Int(all[at + 2]) | Int(all[at + 3]) << 8
      guard value + size <= end else { return nil }
      let name = prefix + String(decoding: all[(at + 4)..<value], as: UTF8.self)
      out.append(TarEntry.ExtendedAttribute(name, Array(all[value..<(value + size)])))
      at = (value + size + 1) / 4 * 4 + 2
    }
    return out
  }
}
