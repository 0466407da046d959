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
/// A name that begins with `.wh.` can't be held by a layer: a `Failure`. `owners` knows whom a file of a lower layer
/// belongs to: a copy of it in `upper` does too. It is for where an upper has no other ids than one; nil takes all
/// owners from `upper`.
///
/// Files are read by up to `width` threads, by more where they wait for the disk. Throws `CancellationError` in a
/// cancelled task.
@discardableResult
public func packUpper(
  _ upper: Directory, into writer: TarWriter, exclude: Set<TreePath> = [], latest: Timestamp? = nil,
  owners: LowerOwners? = nil, width: Int = Machine.processorCount
) throws -> Int {
  let cursor = try UpperCursor(upper, exclude: exclude, metadata: UpperMetadata(latest: latest, owners: owners))
  var count = 0
  try OrderedWork.run(
    width: width, window: 2 * width + 2, next: { try cursor.next() }, work: { try $0.assemble() },
    take: { assembled in
      try writer.append(assembled)
      count += assembled.members.count
    })
  return count
}

/// Whom the file at a path of the lower layers belongs to; nil where there is none. A file that has several names in
/// the upper has one owner: that of the first of them which is a name there too.
public typealias LowerOwners = @Sendable (TreePath) throws -> (uid: UInt32, gid: UInt32)?

/// What members say that is not the upper's.
private struct UpperMetadata: Sendable {
  let latest: Timestamp?
  let owners: LowerOwners?

  func entry(
    _ path: TreePath, _ kind: TarEntry.Kind, _ status: FileStatus, _ attributes: UpperAttributes? = nil
  ) throws -> TarEntry {
    var entry = TarEntry(
      path: path, kind: kind, mode: status.mode, uid: status.uid, gid: status.gid,
      mtime: latest.map { min($0, status.mtime) } ?? status.mtime, xattrs: attributes?.kept ?? [])
    if let owners, attributes?.isCopiedUp == true, let owner = try owners(path) {
      (entry.uid, entry.gid) = owner
    }
    return entry
  }
}

/// Walks through an upper directory in the order of its paths, and cuts it into pieces of work.
private final class UpperCursor {
  private struct Inode: Hashable {
    var device: UInt64
    var number: UInt64
  }
  private typealias Owner = (uid: UInt32, gid: UInt32)

  private let upper: Directory
  private let exclude: Set<TreePath>
  private let metadata: UpperMetadata
  /// Of each file with several names the first, and whom it belongs to in the lower layers.
  private var names: [Inode: (first: TreePath, owner: Owner?)] = [:]
  /// Whom the files with several names belong to, if that was asked for.
  private var linkOwners: [Inode: Owner]?
  /// The directories on the way down, and where in each the walk is.
  private var walk: [(directory: UpperDirectory, next: Int)] = []
  /// A file larger than a piece, and how much of it is given out.
  private var large: (file: LargeMember, offset: Int64)?

  init(_ upper: Directory, exclude: Set<TreePath>, metadata: UpperMetadata) throws {
    self.upper = upper
    self.exclude = exclude
    self.metadata = metadata
    walk = [(try UpperDirectory(upper, .root), 0)]
  }

  func next() throws -> UpperWork? {
    if let (file, offset) = large {
      let count = min(CopyCursor.pieceSize, file.entry.size - offset)
      let isLast = offset + count == file.entry.size
      large = isLast ? nil : (file, offset + count)
      return work([.piece(file, offset: offset, count: Int(count), isLast: isLast)])
    }
    var items: [UpperWork.Item] = []
    var room = CopyCursor.pieceSize
    while room > 0, large == nil, let (directory, index) = walk.last {
      guard index < directory.listing.count else {
        walk.removeLast()
        continue
      }
      walk[walk.count - 1].next = index + 1
      guard let item = try item(directory, index) else { continue }
      items.append(item)
      room -= 1024
      if directory.listing.kind(index) == .regular { room -= directory.listing.size(index) }
    }
    return items.isEmpty ? nil : work(items)
  }

  private func work(_ items: [UpperWork.Item]) -> UpperWork {
    UpperWork(upper: upper, items: items, metadata: metadata)
  }

  /// What is to be done for an entry; nil if it is left out.
  private func item(_ directory: UpperDirectory, _ index: Int) throws -> UpperWork.Item? {
    let listing = directory.listing
    let kind = listing.kind(index)
    let name = Array(listing.name(index))
    let path = directory.path.child(name)
    if kind == .socket || exclude.contains(path) { return nil }
    var status = listing.status(index)
    if kind == .characterDevice, status.deviceMajor == 0, status.deviceMinor == 0 {
      return .whiteout(path.parent.child(LayerWhiteout.prefix + name))
    }
    guard !name.starts(with: LayerWhiteout.prefix) else {
      throw Failure("pack \(path)", "names that begin with .wh. are whiteouts in a layer", hint: "rename the file")
    }
    if kind != .directory, status.linkCount > 1 {
      let inode = Inode(device: status.device, number: status.inode)
      let (first, owner) = try names[inode] ?? (path, lowerOwner(of: inode, path))
      if let owner { (status.uid, status.gid) = owner }
      if first != path { return .hardLink(path, first, status) }
      names[inode] = (path, owner)
    }
    if kind == .directory {
      walk.append((try UpperDirectory(upper, path), 0))
    }
    if kind == .regular, status.size > CopyCursor.pieceSize { return try large(path, status) }
    return .entry(directory, index, status)
  }

  /// Whom the file `inode`, whose first name is `path`, belongs to in the lower layers; nil if nobody asks or knows.
  private func lowerOwner(of inode: Inode, _ path: TreePath) throws -> Owner? {
    guard let owners = metadata.owners else { return nil }
    let attributes = try UpperAttributes(try upper.entryAttributeNames(path), path) { try upper.attribute(path, $0) }
    guard attributes.isCopiedUp else { return nil }
    if let owner = try owners(path) { return owner }
    // The name is new: one of the others is that of the lower file.
    if linkOwners == nil {
      var found: [Inode: Owner] = [:]
      try findOwners(below: .root, owners, &found)
      linkOwners = found
    }
    return linkOwners?[inode]
  }

  private func findOwners(below path: TreePath, _ owners: LowerOwners, _ found: inout [Inode: Owner]) throws {
    let listing = try DirectoryListing(upper.directory(path))
    for index in 0..<listing.count {
      let child = path.child(listing.name(index))
      if listing.kind(index) == .directory {
        try findOwners(below: child, owners, &found)
      } else if listing.linkCount(index) > 1 {
        let identity = listing.identity(index)
        let inode = Inode(device: identity.device, number: identity.inode)
        if found[inode] == nil, let owner = try owners(child) { found[inode] = owner }
      }
    }
  }

  /// The headers of a large file; its data are given out next.
  private func large(_ path: TreePath, _ status: FileStatus) throws -> UpperWork.Item {
    let file = try upper.open(path)
    let attributes = try UpperAttributes(try file.attributeNames(), path) { try file.attribute($0) }
    var entry = try metadata.entry(path, .regular, status, attributes)
    entry.size = status.size
    large = (LargeMember(entry, FilePart(file), isSparse: status.allocated < status.size), 0)
    return .header(entry)
  }
}

/// A directory of an upper directory. It is not kept open: there may be more of them than files can be.
private final class UpperDirectory: Sendable {
  let path: TreePath
  let listing: DirectoryListing

  init(_ upper: Directory, _ path: TreePath) throws {
    self.path = path
    listing = try DirectoryListing(upper.directory(path))
  }
}

/// Members that one thread puts together.
private struct UpperWork: Sendable {
  enum Item: Sendable {
    /// An empty file whose metadata are always the same.
    case whiteout(TreePath)
    case hardLink(TreePath, TreePath, FileStatus)
    /// Anything else, with its data.
    case entry(UpperDirectory, Int, FileStatus)
    /// The headers of a large file.
    case header(TarEntry)
    case piece(LargeMember, offset: Int64, count: Int, isLast: Bool)
  }

  let upper: Directory
  let items: [Item]
  let metadata: UpperMetadata

  func assemble() throws -> TarWriter.Assembled {
    var out = TarWriter.Assembled(bytes: TarBuffer(capacity: TarBuffer.pieceCapacity))
    // One at a time is open.
    var open: (path: TreePath, directory: Directory)?
    for item: Item in items {
      switch item {
      case .whiteout(let path): try out.begin(TarEntry(path: path, kind: .regular, mode: 0))
      case .hardLink(let path, let first, let status):
        var link = try metadata.entry(path, .hardLink, status)
        link.linkTarget = first.bytes
        try out.begin(link)
      case .entry(let directory, let index, let status):
        if open?.path != directory.path { open = (directory.path, try upper.directory(directory.path)) }
        if let open { try add(directory, index, status, in: open.directory, to: &out) }
      case .header(let entry): try out.begin(entry)
      case .piece(let file, let offset, let count, let isLast):
        try file.append(to: out.bytes, offset: offset, count: count, isLast: isLast)
      }
    }
    return out
  }

  private func add(
    _ upper: UpperDirectory, _ index: Int, _ status: FileStatus, in directory: Directory,
    to out: inout TarWriter.Assembled
  ) throws {
    let path = upper.path.child(upper.listing.name(index))
    let name = TreePath.root.child(upper.listing.name(index))
    guard status.kind == .regular else {
      let attributes = try UpperAttributes(try directory.entryAttributeNames(name), path) {
        try directory.attribute(name, $0)
      }
      var entry = try metadata.entry(path, kind(status.kind), status, attributes)
      if status.kind == .symlink { entry.linkTarget = Array(upper.listing.linkTarget(index)) }
      if status.kind == .characterDevice || status.kind == .blockDevice {
        entry.deviceMajor = status.deviceMajor
        entry.deviceMinor = status.deviceMinor
      }
      try out.begin(entry)
      if status.kind == .directory, attributes.isOpaque {
        try out.begin(TarEntry(path: path.child(LayerWhiteout.opaqueName), kind: .regular, mode: 0))
      }
      return
    }
    let file = try directory.open(name)
    let attributes = try UpperAttributes(try file.attributeNames(), path) { try file.attribute($0) }
    if attributes.isWhiteout {
      let whiteout = path.parent.child(LayerWhiteout.prefix + upper.listing.name(index))
      return try out.begin(TarEntry(path: whiteout, kind: .regular, mode: 0))
    }
    var entry = try metadata.entry(path, .regular, status, attributes)
    entry.size = status.size
    try out.begin(entry)
    try LargeMember(entry, FilePart(file)).append(
      to: out.bytes, offset: 0, count: Int(status.size), isLast: true)
  }

  private func kind(_ kind: FileStatus.Kind) -> TarEntry.Kind {
    switch kind {
    case .symlink: .symlink
    case .characterDevice: .characterDevice
    case .blockDevice: .blockDevice
    case .directory: .directory
    case .regular: .regular
    case .fifo, .socket: .fifo
    }
  }
}
