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
    /// A range of a file, of `entry.size` bytes: a member of an archive.
    case part(FilePart)
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
  /// Sorted by path, each path once, a directory before what is in it, a hard link after the file it names.
  /// The root is never among them.
  public let entries: [Entry]

  /// Whether the layer would hold nothing.
  public var isEmpty: Bool { entries.isEmpty }

  /// The total of the files' sizes, in bytes.
  public var size: Int64 { entries.reduce(0) { $0 &+ ($1.entry.kind == .regular ? $1.entry.size : 0) } }

  /// Writes the entries into `writer` in their order, each file's data read once. `finish` is left to the caller.
  /// Throws if a file was changed since the plan was made.
  public func write(to writer: TarWriter) throws {
    for entry: Entry in entries {
      try writer.begin(entry.entry)
      if let source = try source(entry) { try writer.copy(from: source) }
    }
  }

  /// The data of a regular file's entry, nil for every other.
  func source(_ entry: Entry) throws -> ByteSource? {
    guard entry.entry.kind == .regular else { return nil }
    switch entry.data {
    case .none: return MemorySource([])
    case .bytes(let bytes): return MemorySource(bytes)
    case .file(let view, let path, _): return try views[view].open(path).source()
    case .part(let part): return part.source()
    }
  }

  /// A text form, a line an entry, for `--print` and goldens: `drwxr-xr-x 0:0 0 /app created`.
  public var text: String {
    var out = ""
    for entry: Entry in entries {
      let tar = entry.entry
      let mark = entry.origin == .copied ? "" : entry.origin == .created ? " created" : " existing"
      let link = tar.linkTarget.isEmpty ? "" : " -> " + String(decoding: tar.linkTarget, as: UTF8.self)
      out += "\(tar.kind.word) \(String(tar.mode, radix: 8)) \(tar.uid):\(tar.gid) \(tar.size) "
      out += "\(tar.path)\(link)\(mark)\n"
    }
    return out
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
