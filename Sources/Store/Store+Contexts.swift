internal import Core
public import FileTree
public import Linux

extension Store {
  /// Indexes of build contexts are forgotten when there are more than this, those first that were written first.
  static let maximumContexts = 64

  /// What builds have learned of the contents of `directory`: a file of the store's, known by the directory's path,
  /// device and inode.
  public func contextIndex(of directory: Directory) throws -> ContextIndex {
    let status = try directory.file.status()
    let path = try HostPath.canonical(directory.path)
    let name = Digest.sha256("\(path)\n\(status.device)\n\(status.inode)").encoded
    let file = "\(paths.contexts)/\(name)"
    return ContextIndex(file) { [self] in
      if try HostPath.status(paths.contexts) == nil { try HostPath.makeDirectories(paths.contexts, mode: 0o700) }
      if try HostPath.status(file) == nil { try forgetContexts() }
      return try temporaryPath("context")
    }
  }

  /// Makes room for one more index.
  private func forgetContexts() throws {
    let directory = try Directory(paths.contexts)
    let all = try directory.entries().compactMap { name -> (String, Timestamp)? in
      let path = "\(paths.contexts)/\(String(decoding: name, as: UTF8.self))"
      return try HostPath.status(path, follow: false).map { (path, $0.mtime) }
    }
    for (path, _) in all.sorted(by: { $0.1 < $1.1 }).dropLast(Store.maximumContexts - 1) {
      try HostPath.removeFile(path)
    }
  }
}
