internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Unpacks the layer's tar into the empty `directory`. A hard link to a file that the layer does not hold becomes a
  /// copy of that file of the topmost of `lowers` (trees, lowest first) that has it.
  func unpack(_ diffID: Digest, into directory: String, lowers: [String]) throws {
    let source = FileSource(try OpenFile(paths.tar(diffID)))
    do {
      try unpackLayer(source, into: try Directory(directory)) { path in
        for lower in lowers.reversed() {
          if let found = try Store.lowerFile(path, in: Directory(lower)) { return found.file }
        }
        return nil
      }
    } catch let failure as Failure {
      throw failure.during("unpack layer \(diffID.short)")
    }
  }

  /// What a tree says of `path`: nil if nothing, a file, or by a whiteout that no lower one counts either.
  private static func lowerFile(_ path: TreePath, in tree: Directory) throws -> (file: LowerFile?, Void)? {
    guard let status = try tree.status(path) else { return nil }
    if status.kind == .characterDevice, status.deviceMajor == 0, status.deviceMinor == 0 { return (nil, ()) }
    guard status.kind == .regular else { return nil }
    let xattrs = try tree.attributeNames(path)
      .filter { !$0.hasPrefix("trusted.overlay.") && !$0.hasPrefix("user.overlay.") }
      .compactMap { name in try tree.attribute(path, name).map { TarEntry.ExtendedAttribute(name, $0) } }
    let entry = TarEntry(
      path: path, kind: .regular, mode: status.mode, uid: status.uid, gid: status.gid, size: status.size,
      mtime: status.mtime, xattrs: xattrs)
    return (LowerFile(entry, FileSource(try tree.open(path))), ())
  }
}
