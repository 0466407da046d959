internal import Core
internal import Linux

/// A tree of empty directories and files at the places of mounts: the lowest layer of an overlay root. What an image
/// has at a place hides the skeleton's; what it does not have need not be made in the upper layer, and so never comes
/// into an image.
enum Skeleton {
  /// The path of a tree with `targets` in `directory`, made if there is none yet; nil where the targets can't be one
  /// tree. A bind mount whose source is missing is a `Failure`.
  static func path(for targets: [SpawnPlan.MountTarget], in directory: String) throws -> String? {
    var lines: [String] = []
    for target in targets {
      var isFile = false
      if let source = target.source {
        guard let status = try HostPath.status(source) else {
          throw Failure("bind \(source) at \(target.path)", "no such file or directory", exitCode: 125)
        }
        isFile = status.kind != .directory
      }
      lines.append((isFile ? "f " : "d ") + target.path)
    }
    lines.sort()
    let path = "\(directory)/\(String(Digest.sha256(lines.joined(separator: "\0")).encoded.prefix(32)))"
    if try HostPath.status(path) != nil { return path }
    try HostPath.makeDirectories(directory, mode: 0o700)
    let temporary = try HostPath.makeTemporaryDirectory(directory + "/.new-")
    do {
      try build(lines, in: temporary)
      try HostPath.rename(temporary, to: path)
    } catch let error as SystemError {
      try? HostPath.removeTree(temporary)
      // Another process was faster, or a file of one mount is the directory of another.
      return [.exists, .notEmpty].contains(error.code) ? path : nil
    }
    return path
  }

  private static func build(_ lines: [String], in temporary: String) throws {
    let root = try Directory(temporary)
    try root.setMode(.root, 0o755)
    for line in lines {
      let target = TreePath(clamping: String(line.dropFirst(2)))
      var place = TreePath.root
      for component in target.components {
        place = place.child(component)
        if try root.status(place) != nil { continue }
        if place == target, line.hasPrefix("f ") {
          try root.create(place, mode: 0o644).setMode(0o644)
        } else {
          try root.makeDirectory(place)
          try root.setMode(place, 0o755)
        }
      }
    }
    for line in lines {
      var place = TreePath(clamping: String(line.dropFirst(2)))
      while true {
        try root.setModified(place, Timestamp(seconds: 0))
        if place.isRoot { break }
        place = place.parent
      }
    }
  }
}
