public import Core
public import Linux

/// Packs `upper`, the upper directory of an overlay that is mounted no more, as the members of a layer; returns how
/// many. The caller finishes the writer.
///
/// Sorted by path. A 0/0 character device becomes `.wh.name`, an opaque directory gets `.wh..wh..opq` in it. The second
/// name of a file in `upper` becomes a hard link to the first. Sockets are left out, and so is the root itself.
/// Extended attributes are kept except overlayfs' own and the host's security labels (of `security.*` only
/// `security.capability` is kept). `exclude` and what lies below is left out: mount points that were made for the
/// sandbox. No mtime is later than `latest`, if given: SOURCE_DATE_EPOCH.
/// A name that begins with `.wh.` can't be held by a layer: a `Failure`.
@discardableResult
public func packUpper(
  _ upper: Directory, into writer: TarWriter, exclude: Set<TreePath> = [], latest: Timestamp? = nil
) throws -> Int {
  let packer = UpperPacker(writer, exclude: exclude, latest: latest)
  try packer.add(upper, .root)
  return packer.count
}

/// The state of packing one upper directory.
private final class UpperPacker {
  private struct Inode: Hashable {
    var device: UInt64
    var number: UInt64
  }

  private let writer: TarWriter
  private let exclude: Set<TreePath>
  private let latest: Timestamp?
  /// The first path of each file with several names.
  private var names: [Inode: TreePath] = [:]
  private(set) var count = 0

  init(_ writer: TarWriter, exclude: Set<TreePath>, latest: Timestamp?) {
    self.writer = writer
    self.exclude = exclude
    self.latest = latest
  }

  /// Packs what is in `directory`, which is at `path`.
  func add(_ directory: Directory, _ path: TreePath) throws {
    for name in try directory.entries() {
      let child = path.child(name)
      if exclude.contains(child) { continue }
      let status = try directory.entryStatus(name)
      if status.kind == .socket { continue }
      if status.kind == .characterDevice && status.deviceMajor == 0 && status.deviceMinor == 0 {
        try whiteOut(child, LayerWhiteout.prefix + name)
        continue
      }
      guard !name.starts(with: LayerWhiteout.prefix) else {
        throw Failure("pack \(child)", "names that begin with .wh. are whiteouts in a layer", hint: "rename the file")
      }
      try add(directory, TreePath.root.child(name), child, status)
    }
  }

  /// Packs the entry `name` of `directory`.
  private func add(_ directory: Directory, _ name: TreePath, _ path: TreePath, _ status: FileStatus) throws {
    if status.kind != .directory, status.linkCount > 1 {
      let inode = Inode(device: status.device, number: status.inode)
      if let first = names[inode] {
        var link = entry(path, .hardLink, status, [])
        link.linkTarget = first.bytes
        return try begin(link)
      }
      names[inode] = path
    }
    switch status.kind {
    case .directory: try addDirectory(try directory.directory(name), path, status)
    case .regular:
      let file = try directory.open(name)
      let attributes = try Attributes(try file.attributeNames(), path) { try file.attribute($0) }
      if attributes.isWhiteout { return try whiteOut(path, LayerWhiteout.prefix + Array(name.bytes)) }
      var regular = entry(path, .regular, status, attributes.kept)
      regular.size = status.size
      try begin(regular)
      try writer.copyFile(from: file)
    case .symlink:
      let attributes = try self.attributes(directory, name, path)
      var link = entry(path, .symlink, status, attributes)
      link.linkTarget = try directory.readLink(name)
      try begin(link)
    case .characterDevice, .blockDevice:
      let kind: TarEntry.Kind = status.kind == .characterDevice ? .characterDevice : .blockDevice
      var node = entry(path, kind, status, try self.attributes(directory, name, path))
      node.deviceMajor = status.deviceMajor
      node.deviceMinor = status.deviceMinor
      try begin(node)
    case .fifo: try begin(entry(path, .fifo, status, try self.attributes(directory, name, path)))
    case .socket: break
    }
  }

  private func addDirectory(_ directory: Directory, _ path: TreePath, _ status: FileStatus) throws {
    let attributes = try Attributes(try directory.file.attributeNames(), path) { try directory.file.attribute($0) }
    try begin(entry(path, .directory, status, attributes.kept))
    if attributes.isOpaque { try whiteOut(path.child(".wh..wh..opq"), LayerWhiteout.opaqueName) }
    try add(directory, path)
  }

  /// A whiteout member `name` beside `path`: an empty file whose metadata are always the same.
  private func whiteOut(_ path: TreePath, _ name: [UInt8]) throws {
    try begin(TarEntry(path: path.parent.child(name), kind: .regular, mode: 0))
  }

  private func begin(_ entry: TarEntry) throws {
    try writer.begin(entry)
    count += 1
  }

  private func entry(
    _ path: TreePath, _ kind: TarEntry.Kind, _ status: FileStatus, _ xattrs: [TarEntry.ExtendedAttribute]
  ) -> TarEntry {
    TarEntry(
      path: path, kind: kind, mode: status.mode, uid: status.uid, gid: status.gid,
      mtime: latest.map { min($0, status.mtime) } ?? status.mtime, xattrs: xattrs)
  }

  private func attributes(
    _ directory: Directory, _ name: TreePath, _ path: TreePath
  ) throws -> [TarEntry.ExtendedAttribute] {
    try Attributes(try directory.attributeNames(name), path) { try directory.attribute(name, $0) }.kept
  }

  /// The extended attributes of one file, overlayfs' own understood and taken out.
  private struct Attributes {
    var kept: [TarEntry.ExtendedAttribute] = []
    var isOpaque = false
    var isWhiteout = false

    init(_ names: [String], _ path: TreePath, _ value: (String) throws -> [UInt8]?) throws {
      for name in names {
        if LayerWhiteout.isOverlayAttribute(name) {
          try understand(String(name.split(separator: ".", maxSplits: 2).last ?? ""), path) { try value(name) }
          continue
        }
        if name.hasPrefix("security.") && name != "security.capability" { continue }
        if let value = try value(name) { kept.append(TarEntry.ExtendedAttribute(name, value)) }
      }
    }

    private mutating func understand(_ name: String, _ path: TreePath, _ value: () throws -> [UInt8]?) throws {
      switch name {
      // `x` only says that whiteouts in the directory may be attributes.
      case "opaque": isOpaque = try value() == [UInt8(ascii: "y")] || isOpaque
      case "whiteout": isWhiteout = true
      case "redirect", "metacopy":
        throw Failure(
          "pack \(path)", "the overlay was mounted with redirect_dir or metacopy: its upper is not complete")
      // origin, impure, nlink, uuid, protattr: for overlayfs alone.
      default: break
      }
    }
  }
}
