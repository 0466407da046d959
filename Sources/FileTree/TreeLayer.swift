internal import Core
public import Linux

/// A layer that was unpacked into a directory: whiteouts as character devices 0/0, opaque directories marked by
/// `trusted.overlay.opaque` or `user.overlay.opaque`.
public struct TreeLayer: LayerView {
  private let directory: Directory

  public init(_ directory: Directory) { self.directory = directory }

  public func root() throws -> LayerEntry { TreeLayer.entry(try directory.file.status(), .root) }

  public func lookup(_ name: [UInt8], in folder: LayerEntry) throws -> LayerEntry? {
    let path = TreeLayer.path(folder).child(name)
    return try directory.status(path).map { TreeLayer.entry($0, path) }
  }

  public func children(of folder: LayerEntry) throws -> [(name: [UInt8], entry: LayerEntry)] {
    let path = TreeLayer.path(folder)
    let inner = path.isRoot ? directory : try directory.directory(path)
    return try inner.entries().compactMap { name in
      try HostNode.status(name, in: inner).map { (name, TreeLayer.entry($0, path.child(name))) }
    }
  }

  public func isOpaque(_ folder: LayerEntry) throws -> Bool {
    let path = TreeLayer.path(folder)
    for name in try directory.entryAttributeNames(path) where LayerEntry.opaqueAttributes.contains(name) {
      if try directory.attribute(path, name) == [UInt8(ascii: "y")] { return true }
    }
    return false
  }

  /// Never: such directories look as below when the layer is unpacked.
  public func isImplied(_ folder: LayerEntry) throws -> Bool { false }

  public func node(_ entry: LayerEntry) throws -> TreeNode {
    guard case .path(let path, let status) = entry.place else { throw SystemError(.invalid, "stat \(directory.path)") }
    return try HostNode.read(status, path, in: directory, owner: .asIs)
  }

  public func open(_ entry: LayerEntry) throws -> FilePart { FilePart(try directory.open(TreeLayer.path(entry))) }

  private static func entry(_ status: FileStatus, _ path: TreePath) -> LayerEntry {
    let isWhiteout = status.kind == .characterDevice && status.deviceMajor == 0 && status.deviceMinor == 0
    return LayerEntry(kind: status.kind, isWhiteout: isWhiteout, place: .path(path, status))
  }

  private static func path(_ entry: LayerEntry) -> TreePath {
    if case .path(let path, _) = entry.place { return path }
    return .root
  }
}
