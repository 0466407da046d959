internal import CLinux
public import Core
internal import Glibc

extension Directory {
  /// Removes a file or link.
  public func removeFile(_ below: TreePath) throws {
    let (anchor, name) = try parent(of: below)
    try check("remove \(label(below))") { unlinkat(anchor.descriptor, name, 0) }
  }

  /// Removes an empty directory.
  public func removeDirectory(_ below: TreePath) throws {
    let (anchor, name) = try parent(of: below)
    try check("remove \(label(below))") { unlinkat(anchor.descriptor, name, AT_REMOVEDIR) }
  }

  /// Removes `below` and everything in it, without following links. Nothing there is success. However deep the tree,
  /// a bounded number of descriptors is open.
  public func removeTree(_ below: TreePath) throws {
    let (anchor, name) = try parent(of: below)
    if try Self.removeNonDirectory(anchor, name, label(below)) { return }
    try directory(below).removeEntries()
    try check("remove \(label(below))") { unlinkat(anchor.descriptor, name, AT_REMOVEDIR) }
  }

  /// Removes everything in this directory.
  func removeEntries() throws {
    var moved = 0
    var before = -1
    while before != moved {
      before = moved
      try empty(into: self, depth: 0, &moved)
    }
  }

  /// Directories that removal holds open at a time.
  private static let deepest = 64

  /// Removes all entries. Directories too deep below `top` are moved to it, and counted in `moved`: for another round.
  private func empty(into top: Directory, depth: Int, _ moved: inout Int) throws {
    // Read first: what is removed while a directory is read may be passed over.
    var found: [(name: [UInt8], kind: EntryKind)] = []
    try forEachEntry { found.append(($0, $1)) }
    for (entry, kind) in found {
      let label = "\(path)/\(String(decoding: entry, as: UTF8.self))"
      var name: [CChar] = entry.map(CChar.init(bitPattern:))
      name.append(0)
      if kind != .directory, try Self.removeNonDirectory(file, name, label) { continue }
      guard depth < Self.deepest else {
        moved += 1
        let newName = ".stave-deep-\(moved)-\(getpid())"
        try check("move \(label) to \(top.path)") {
          renameat(file.descriptor, name, top.file.descriptor, newName)
        }
        continue
      }
      let fd = try check("open \(label)") {
        stave_openat(file.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
      }
      try Directory(OpenFile(owning: fd, path: label)).empty(into: top, depth: depth + 1, &moved)
      try check("remove \(label)") { unlinkat(file.descriptor, name, AT_REMOVEDIR) }
    }
  }

  /// Removes the entry `name` of `directory` unless it is a directory; whether nothing is left there.
  private static func removeNonDirectory(_ directory: OpenFile, _ name: [CChar], _ label: @autoclosure () -> String)
    throws -> Bool
  {
    if unlinkat(directory.descriptor, name, 0) == 0 || errno == ENOENT { return true }
    guard errno == EISDIR else { throw SystemError.last("remove \(label())") }
    return false
  }
}
