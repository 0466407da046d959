internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Unpacks the layer's tar into the empty `directory`, above the trees `lowers`, lowest first.
  ///
  /// A hard link to a file that the layer does not hold becomes a copy of the file that the lowers show. A directory
  /// that the layer holds only as a parent of what it changes looks as it does in the lowers.
  func unpack(_ diffID: Digest, into directory: String, lowers: [String]) throws {
    let tar = try OpenFile(paths.tar(diffID))
    let target = try Directory(directory)
    let below = LowerTrees(trees: try lowers.reversed().map { try Directory($0) })
    do {
      try unpackLayer(FileSource(tar), into: target) { try below.file($0) }
      for path in try Store.unnamedParents(tar) {
        guard let status = try below.status(path), status.kind == .directory else { continue }
        if UserNamespace.canChangeOwners { try target.setOwner(path, uid: status.uid, gid: status.gid) }
        try target.setMode(path, status.mode)
        try target.setModified(path, status.mtime)
      }
    } catch let failure as Failure {
      throw failure.during("unpack layer \(diffID.short)")
    }
  }

  /// The directories that have no member of their own in the archive but lead to one, parents first.
  private static func unnamedParents(_ tar: OpenFile) throws -> [TreePath] {
    let reader = TarReader(FileSource(tar))
    var named: Set<TreePath> = [.root]
    var parents: Set<TreePath> = []
    while let member = try reader.next() {
      if member.entry.kind == .directory { named.insert(member.entry.path) }
      var parent = member.entry.path.parent
      while !parent.isRoot, parents.insert(parent).inserted { parent = parent.parent }
    }
    return parents.subtracting(named).sorted()
  }
}

/// What the layers below show, topmost first.
private struct LowerTrees {
  let trees: [Directory]

  /// The status of what is at `path`, itself if it is a link; nil if nothing, or if a whiteout hides it.
  func status(_ path: TreePath) throws -> FileStatus? { try find(path)?.status }

  /// The regular file at `path`, or nil.
  func file(_ path: TreePath) throws -> LowerFile? {
    guard let (tree, status) = try find(path), status.kind == .regular else { return nil }
    let xattrs = try tree.attributeNames(path)
      .filter { !$0.hasPrefix("trusted.overlay.") && !$0.hasPrefix("user.overlay.") }
      .compactMap { name in try tree.attribute(path, name).map { TarEntry.ExtendedAttribute(name, $0) } }
    let entry = TarEntry(
      path: path, kind: .regular, mode: status.mode, uid: status.uid, gid: status.gid, size: status.size,
      mtime: status.mtime, xattrs: xattrs)
    return LowerFile(entry, FileSource(try tree.open(path)))
  }

  private func find(_ path: TreePath) throws -> (tree: Directory, status: FileStatus)? {
    for tree in trees {
      if let status = try tree.status(path) {
        let isWhiteout = status.kind == .characterDevice && status.deviceMajor == 0 && status.deviceMinor == 0
        return isWhiteout ? nil : (tree, status)
      }
      if try hides(tree, path) { return nil }
    }
    return nil
  }

  /// Whether `tree` keeps what lower trees have at `path` from being seen: a whiteout, an opaque directory or
  /// something that is no directory stands at one of its parents.
  private func hides(_ tree: Directory, _ path: TreePath) throws -> Bool {
    var parent = path.parent
    while !parent.isRoot {
      if let status = try tree.status(parent) {
        if status.kind != .directory { return true }
        let mark = UserNamespace.usesUserAttributes ? "user.overlay.opaque" : "trusted.overlay.opaque"
        if try tree.attribute(parent, mark) != nil { return true }
      }
      parent = parent.parent
    }
    return false
  }
}
