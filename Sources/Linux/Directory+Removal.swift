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
    if try removeNonDirectory(below) { return }
    let top = try directory(below)
    var moved = 0
    var before = -1
    while before != moved {
      before = moved
      try top.empty(into: top, depth: 0, &moved)
    }
    try removeDirectory(below)
  }

  /// Directories that removal holds open at a time.
  private static let deepest = 64

  /// Removes all entries. Directories too deep below `top` are moved to it, and counted in `moved`: for another round.
  private func empty(into top: Directory, depth: Int, _ moved: inout Int) throws {
    for name in try entries() {
      let entry = TreePath.root.child(name)
      if try removeNonDirectory(entry) { continue }
      guard depth < Self.deepest else {
        moved += 1
        let (from, oldName) = try parent(of: entry)
        let newName = ".stave-deep-\(moved)-\(getpid())"
        try check("move \(label(entry)) to \(top.path)") {
          renameat(from.descriptor, oldName, top.file.descriptor, newName)
        }
        continue
      }
      try directory(entry).empty(into: top, depth: depth + 1, &moved)
      try removeDirectory(entry)
    }
  }

  /// Removes `below` unless it is a directory; whether nothing is left there.
  private func removeNonDirectory(_ below: TreePath) throws -> Bool {
    do {
      try removeFile(below)
      return true
    } catch let error as SystemError {
      if error.code == .noEntry { return true }
      guard error.code == .isDirectory || error.code == .notPermitted else { throw error }
      return false
    }
  }
}
