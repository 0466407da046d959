public import Core
public import Linux

/// What one COPY or ADD will put into its layer: every entry with its final place and metadata, decided before a byte
/// is written.
public struct CopyPlan: Sendable {
  /// Where an entry's data come from.
  public enum Data: Sendable {
    case none
    /// The file `path` of `views[view]`; `key` tells whether its content is that of an earlier time.
    case file(view: Int, path: TreePath, key: FileIdentity?)
    case bytes([UInt8])
    /// A range of a file, of `entry.size` bytes: a member of an archive, whose `key` tells whether it is as it was
    /// read.
    case part(FilePart, key: FileIdentity?)
    /// All that is below the directory `path` of `views[view]`, a `HostTree`, is below this directory too, with nothing
    /// else beside it.
    case tree(view: Int, path: TreePath)
  }

  /// Why an entry is in the layer.
  public enum Origin: Sendable, Equatable {
    /// It was selected.
    case copied
    /// A directory that was missing on the way to the destination.
    case created
    /// A directory of the destination tree, repeated unchanged because something below it is new.
    case existing
  }

  public struct Entry: Sendable {
    public var entry: TarEntry
    public var data: Data
    public var origin: Origin
    /// Entries with the same number are hard links of each other.
    var linkGroup: Int?
  }

  /// The trees that the data come from.
  public let views: [any TreeView]
  /// As `entries`, with whole trees as one entry.
  let parts: [Entry]
  /// What is made of the metadata of copied files.
  let metadata: CopyMetadata

  /// Sorted by path, each path once, a directory before what is in it, a hard link after the file it names.
  /// The root is never among them. Throws if a directory can't be read.
  public func entries() throws -> [Entry] {
    var out: [Entry] = []
    for part: Entry in parts {
      out.append(part)
      guard case .tree(let view, let path) = part.data else { continue }
      out[out.count - 1].data = .none
      try addEntries(below: path, view, at: part.entry.path, to: &out)
    }
    return out
  }

  private func addEntries(below path: TreePath, _ view: Int, at target: TreePath, to out: inout [Entry]) throws {
    for child: TreeChild in try views[view].children(path) where child.node.kind != .socket {
      let (source, place) = (path.child(child.name), target.child(child.name))
      let isFile = child.node.kind == .regular
      out.append(
        Entry(
          entry: metadata.entry(child.node, place),
          data: isFile ? .file(view: view, path: source, key: child.node.contentKey) : .none, origin: .copied))
      if child.node.kind == .directory { try addEntries(below: source, view, at: place, to: &out) }
    }
  }

  /// Whether the layer would hold nothing.
  public var isEmpty: Bool { parts.isEmpty }

  /// The data of a regular file's entry, nil for every other.
  func source(_ entry: Entry) throws -> ByteSource? {
    guard entry.entry.kind == .regular else { return nil }
    switch entry.data {
    case .none, .tree: return MemorySource([])
    case .bytes(let bytes): return MemorySource(bytes)
    case .file(let view, let path, _): return try views[view].open(path).source()
    case .part(let part, _): return part.source()
    }
  }

  /// The file or the range of one that a regular file's data are; nil if they are none.
  func file(_ entry: Entry) throws -> LargeMember? {
    guard entry.entry.kind == .regular else { return nil }
    switch entry.data {
    case .file(let view, let path, let key): return LargeMember(entry.entry, try views[view].open(path), key)
    case .part(let part, let key): return LargeMember(entry.entry, part, key)
    case .none, .bytes, .tree: return nil
    }
  }

  /// A text form, a line an entry, for `--print` and goldens: `drwxr-xr-x 0:0 0 /app created`.
  public func text() throws -> String {
    var out = ""
    for entry: Entry in try entries() {
      let tar = entry.entry
      let mark = entry.origin == .copied ? "" : entry.origin == .created ? " created" : " existing"
      let link = tar.linkTarget.isEmpty ? "" : " -> " + String(decoding: tar.linkTarget, as: UTF8.self)
      out += "\(tar.kind.word) \(String(tar.mode, radix: 8)) \(tar.uid):\(tar.gid) \(tar.size) "
      out += "\(tar.path)\(link)\(mark)\n"
    }
    return out
  }
}

/// What `--chown`, `--chmod` and a latest time make of the metadata of copied files.
struct CopyMetadata: Sendable {
  var owner: CopySelection.Owner?
  var mode: ModeChange?
  /// No entry is later, if given.
  var latest: Timestamp?

  /// `time`, or the latest that is allowed.
  func time(_ time: Timestamp) -> Timestamp { latest.map { min($0, time) } ?? time }

  /// The member for `node` at `target`.
  func entry(_ node: TreeNode, _ target: TreePath) -> TarEntry {
    let kind: TarEntry.Kind =
      switch node.kind {
      case .regular, .socket: .regular
      case .directory: .directory
      case .symlink: .symlink
      case .characterDevice: .characterDevice
      case .blockDevice: .blockDevice
      case .fifo: .fifo
      }
    var mode = node.mode
    if kind == .symlink {
      mode = 0o777
    } else if let change = self.mode {
      mode = change.applied(to: mode, isDirectory: kind == .directory)
    }
    return TarEntry(
      path: target, kind: kind, mode: mode, uid: owner?.uid ?? node.uid, gid: owner?.gid ?? node.gid,
      size: node.size, mtime: time(node.mtime), linkTarget: node.linkTarget, deviceMajor: node.deviceMajor,
      deviceMinor: node.deviceMinor, xattrs: node.xattrs)
  }
}

extension TarEntry.Kind {
  /// The word for it in records and plans.
  var word: String {
    switch self {
    case .regular: "file"
    case .directory: "directory"
    case .symlink: "symlink"
    case .hardLink: "hardlink"
    case .characterDevice: "chardev"
    case .blockDevice: "blockdev"
    case .fifo: "fifo"
    }
  }
}
