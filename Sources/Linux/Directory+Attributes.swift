public import Core
internal import CLinux

extension Directory {
  /// As `attributeNames`, in one system call for this directory's own entries, which need no opening on the way.
  public func entryAttributeNames(_ below: TreePath) throws -> [String] {
    if below.isRoot || below.bytes.contains(UInt8(ascii: "/")) { return try attributeNames(below) }
    var path: [CChar] = Array("/proc/self/fd/\(file.descriptor)/".utf8CString.dropLast())
    path.append(contentsOf: below.bytes.lazy.map(CChar.init(bitPattern:)))
    path.append(0)
    return try Xattr.names("list attributes of \(self.path)/\(below.text)") { stave_listxattr(path, $0, $1, 0) }
  }

  /// The value of an extended attribute of the entry `entry` of this very directory, itself, in one call; nil if there
  /// is none.
  func entryAttribute(_ entry: UnsafeRawBufferPointer, _ name: String) throws -> [UInt8]? {
    var path: [CChar] = Array("/proc/self/fd/\(file.descriptor)/".utf8CString.dropLast())
    path.append(contentsOf: entry.lazy.map(CChar.init(bitPattern:)))
    path.append(0)
    return try Xattr.value(name, "read attribute \(name) in \(self.path)") { stave_getxattr(path, name, $0, $1, 0) }
  }
}
