internal import Core
internal import FileTree
internal import Linux

extension Store {
  /// Whether each layer's tar is the blob of that name, can be read to its end, and is what its tree was made of. A
  /// tree that is not is removed by a repair, and made again when it is needed.
  func checkLayers(_ repair: Bool, _ oldestLease: Timestamp?) throws -> [StoreProblem] {
    try Directory(paths.layers).entries().map({ String(decoding: $0, as: UTF8.self) }).compactMap { name in
      guard let diffID = try? Digest("sha256:\(name)") else {
        return try checkStray("\(paths.layers)/\(name)", "layers/\(name)", "it is no digest", repair)
      }
      let status = try HostPath.status(paths.layer(diffID))
      // One that is just being made, or was removed meanwhile.
      guard let status, oldestLease.map({ status.mtime < $0 }) ?? true else { return nil }
      if let problem = try checkTar(diffID, repair) { return problem }
      return try examine("tree of layer \(diffID)", repair, layer: diffID) {
        try faultOfTree(diffID)
      } mend: {
        try HostPath.removeTree(paths.tree(diffID))
      }
    }
  }

  private func checkTar(_ diffID: Digest, _ repair: Bool) throws -> StoreProblem? {
    try examine("layer \(diffID)", repair, layer: diffID) {
      let tar = try HostPath.status(paths.tar(diffID))
      let blob = try HostPath.status(paths.blob(diffID))
      if try HostPath.status(paths.layer(diffID)) == nil { return nil }
      if tar == nil { return "it has no tar" }
      return blob?.inode == tar?.inode ? nil : "its tar is not the blob of that name"
    } mend: {
      if try hasBlob(diffID) {
        _ = try linkLayer(diffID)
      } else if try Store.hash(paths.tar(diffID)) == diffID {
        try HostPath.link(paths.tar(diffID), to: paths.blob(diffID))
      } else {
        try removeLayer(diffID)
      }
    }
  }

  /// What the layer's tree lacks of its tar, or nil: the kind of every entry, the size and mode of files, the targets
  /// of links.
  private func faultOfTree(_ diffID: Digest) throws -> String? {
    guard try hasTree(diffID) else { return nil }
    let tree = try Directory(paths.tree(diffID))
    var last: [TreePath: TarEntry] = [:]
    let reader = TarReader(FileSource(try OpenFile(paths.tar(diffID))))
    while let member = try reader.next() {
      try Task.checkCancellation()
      // What a later entry replaced is gone with all that was below it.
      if member.entry.kind != .directory, last[member.entry.path]?.kind == .directory { return nil }
      last[member.entry.path] = member.entry
    }
    for (path, entry) in last.sorted(by: { $0.key < $1.key })
    where !path.isRoot && !path.components.contains(where: { $0.starts(with: Array(".wh.".utf8)) }) {
      guard let status = try tree.status(path) else {
        if !UserNamespace.canMakeDevices, [.characterDevice, .blockDevice].contains(entry.kind) { continue }
        return "\(path.absolute) is missing"
      }
      let isRight: Bool =
        switch entry.kind {
        case .regular: status.kind == .regular && status.size == entry.size && status.mode == entry.mode
        case .directory: status.kind == .directory
        case .symlink: status.kind == .symlink
        default: true
        }
      if !isRight { return "\(path.absolute) is not what the tar says" }
    }
    return nil
  }
}
