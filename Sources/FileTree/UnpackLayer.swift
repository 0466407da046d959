internal import Core
internal import Linux

/// The state of unpacking one layer.
final class LayerUnpacker {
  private let root: Directory
  private let whiteouts: UnpackWhiteouts
  private let keepOwners: Bool
  private let lowerLookup: ((TreePath) throws -> LowerFile?)?
  private let buffer: UnsafeMutableRawBufferPointer
  /// Set at the end, when nothing is made in them any more.
  private var directoryTimes: [TreePath: Timestamp] = [:]
  /// What this layer made: kept by its own whiteouts in `.apply`.
  private var made: Set<TreePath> = []
  /// What a whiteout of this layer is for: a directory that is made there, after whatever, is opaque.
  private var hidden: Set<TreePath> = []
  private(set) var report = UnpackReport()

  init(
    _ root: Directory, whiteouts: UnpackWhiteouts, keepOwners: Bool, lowerLookup: ((TreePath) throws -> LowerFile?)?
  ) {
    self.root = root
    self.whiteouts = whiteouts
    self.keepOwners = keepOwners
    self.lowerLookup = lowerLookup
    buffer = .allocate(byteCount: 262_144, alignment: 4096)
  }

  deinit { buffer.deallocate() }

  /// Unpacks one member, whose data `reader` is at. Throws `CancellationError` in a cancelled task.
  func add(_ member: TarMember, _ reader: TarReader) throws {
    try Task.checkCancellation()
    report.entryCount += 1
    let entry = member.entry
    let path = entry.path
    // Bookkeeping that aufs left in old images: `.wh..wh.plnk`, `.wh..wh.aufs`.
    if path.components.contains(where: { LayerWhiteout.isReserved($0) }) { return }
    switch LayerWhiteout(path) {
    case .opaque: return try makeOpaque(path.parent)
    case .removal(let hidden): return try whiteOut(hidden)
    case nil: break
    }
    switch entry.kind {
    case .directory: try addDirectory(entry)
    case .regular:
      let file = try create(path) { try root.create(path) }
      try fill(file, member, reader)
      try setMetadata(entry, file)
    case .hardLink: try addHardLink(entry)
    case .symlink:
      try create(path) { try root.makeSymlink(path, target: entry.linkTarget) }
      try setMetadata(entry)
    case .fifo:
      try create(path) { try root.makeNode(path, kind: .fifo, mode: 0o600) }
      try setMetadata(entry)
    case .characterDevice, .blockDevice: try addDevice(entry)
    }
    if whiteouts == .apply { noteMade(path) }
  }

  /// Sets the times of the directories.
  func finish() throws {
    for (path, time) in directoryTimes.sorted(by: { $0.key < $1.key }) { try root.setModified(path, time) }
  }

  // MARK: Making

  /// Calls `make`, which must fail if `path` exists, after clearing the way: missing parents are made, and what stands
  /// at `path` is removed.
  @discardableResult
  private func create<T>(_ path: TreePath, _ make: () throws -> T) throws -> T {
    // In the usual case nothing is in the way, and finding that out costs nothing.
    do {
      return try make()
    } catch let error as SystemError where [.exists, .noEntry, .notDirectory].contains(error.code) {}
    try makeParents(path.parent)
    try remove(path)
    return try make()
  }

  private func addDirectory(_ entry: TarEntry) throws {
    let path = entry.path
    if !path.isRoot {
      try makeParents(path.parent)
      try makeDirectory(path)
    }
    let directory = try root.directory(path)
    try setMetadata(entry, directory.file)
  }

  /// Makes the directory `path` unless it is one. Where a whiteout of this layer stood, or beside one, it becomes
  /// opaque.
  private func makeDirectory(_ path: TreePath) throws {
    do {
      return try root.makeDirectory(path, mode: 0o755)
    } catch let error as SystemError where error.code == .exists {}
    let status = try root.status(path)
    if status?.kind == .directory { return }
    try remove(path)
    try root.makeDirectory(path, mode: 0o755)
    if let status, isWhiteout(status) || hidden.contains(path) { try markOpaque(path) }
  }

  private func makeParents(_ path: TreePath) throws {
    if path.isRoot { return }
    let status = try root.status(path, followLast: true)
    if status?.kind == .directory { return }
    try makeParents(path.parent)
    if let own = try root.status(path), !isWhiteout(own) {
      throw Failure("unpack below \(path)", "it is not a directory")
    }
    try makeDirectory(path)
    if keepOwners { try root.setOwner(path, uid: 0, gid: 0) }
    try root.setMode(path, 0o755)
    directoryTimes[path] = Timestamp(seconds: 0)
    if whiteouts == .apply { noteMade(path) }
  }

  private func addDevice(_ entry: TarEntry) throws {
    let kind: FileStatus.Kind = entry.kind == .characterDevice ? .characterDevice : .blockDevice
    do {
      try create(entry.path) {
        try root.makeNode(
          entry.path, kind: kind, mode: 0o600, major: entry.deviceMajor, minor: entry.deviceMinor)
      }
    } catch let error as SystemError where error.code == .notPermitted {
      report.refusedDevices.append(entry.path)
      return
    }
    try setMetadata(entry)
  }

  private func addHardLink(_ entry: TarEntry) throws {
    guard let target = TreePath(strict: entry.linkTarget), target != entry.path, !target.isRoot else {
      throw Failure("unpack \(entry.path)", "it is a hard link to itself")
    }
    let status = try root.status(target)
    if let status, !isWhiteout(status) {
      guard status.kind != .directory else {
        throw Failure("unpack \(entry.path)", "it is a hard link to the directory \(target)")
      }
      return try create(entry.path) { try root.makeHardLink(entry.path, to: target) }
    }
    guard status == nil, let lower = try lowerLookup?(target) else {
      throw Failure("unpack \(entry.path)", "it is a hard link to \(target), which does not exist")
    }
    // The lower layer's file can't get a second name here: the link becomes a copy, as overlayfs makes on a link.
    var copy = lower.entry
    copy.path = entry.path
    guard copy.kind == .regular else {
      throw Failure("unpack \(entry.path)", "it is a hard link to \(target) of a lower layer, which is no regular file")
    }
    let file = try create(entry.path) { try root.create(entry.path) }
    try copyData(lower.data, to: file)
    try setMetadata(copy, file)
  }

  private func fill(_ file: OpenFile, _ member: TarMember, _ reader: TarReader) throws {
    guard let extents = member.extents else { return try copyData(reader, to: file) }
    for extent in extents {
      var at = extent.offset
      let end = extent.offset + extent.length
      while at < end {
        let room = Int(min(Int64(buffer.count), end - at))
        let count = try reader.readStored(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
        try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: at)
        at += Int64(count)
      }
    }
    try file.truncate(to: member.entry.size)
  }

  private func copyData(_ source: ByteSource, to file: OpenFile) throws {
    while true {
      let count = try source.read(into: buffer)
      if count == 0 { return }
      try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }

  // MARK: Metadata

  /// Who the file shall belong to; nil for the caller. Ids that this user namespace does not have become root's: what
  /// they were stays in the archive.
  private func owner(_ entry: TarEntry) -> (uid: UInt32, gid: UInt32)? {
    guard keepOwners else { return nil }
    return (
      UserNamespace.maps(uid: entry.uid) ? entry.uid : 0, UserNamespace.maps(gid: entry.gid) ? entry.gid : 0
    )
  }

  /// Sets owner, mode, attributes and time of an open file or directory. In this order: chown(2) clears set-uid bits
  /// and file capabilities.
  private func setMetadata(_ entry: TarEntry, _ file: OpenFile) throws {
    if let (uid, gid) = owner(entry) { try file.setOwner(uid: uid, gid: gid) }
    try file.setMode(entry.mode)
    try setAttributes(entry) { try file.setAttribute($0, $1) }
    if entry.kind == .directory {
      directoryTimes[entry.path] = entry.mtime
    } else {
      try file.setModified(entry.mtime)
    }
  }

  /// As the other, of what can't be opened.
  private func setMetadata(_ entry: TarEntry) throws {
    if let (uid, gid) = owner(entry) { try root.setOwner(entry.path, uid: uid, gid: gid) }
    if entry.kind != .symlink { try root.setMode(entry.path, entry.mode) }
    try setAttributes(entry) { try root.setAttribute(entry.path, $0, $1) }
    try root.setModified(entry.path, entry.mtime)
  }

  private func setAttributes(_ entry: TarEntry, _ set: (String, [UInt8]) throws -> Void) throws {
    for xattr in entry.xattrs where !LayerWhiteout.isOverlayAttribute(xattr.name) {
      do {
        try set(xattr.name, xattr.value)
      } catch let error as SystemError where [.notSupported, .notPermitted].contains(error.code) {
        report.refusedAttributes.append("\(entry.path): \(xattr.name)")
      }
    }
  }

  // MARK: Whiteouts

  private func isWhiteout(_ status: FileStatus) -> Bool {
    status.kind == .characterDevice && status.deviceMajor == 0 && status.deviceMinor == 0
  }

  /// Hides `path` of the layers below. What this layer has there itself stays, as it does not matter in which order
  /// the members stand (OCI image-spec 1.1, layer.md, Whiteouts).
  private func whiteOut(_ path: TreePath) throws {
    if whiteouts == .apply {
      if made.contains(path) { return try removeUnmade(path) }
      if try root.status(path) != nil { try remove(path) }
      return
    }
    hidden.insert(path)
    if let status = try root.status(path) {
      if status.kind == .directory { try markOpaque(path) }
      return
    }
    try create(path) { try root.makeNode(path, kind: .characterDevice, mode: 0, major: 0, minor: 0) }
  }

  private func makeOpaque(_ path: TreePath) throws {
    try makeParents(path)
    if whiteouts == .apply { try removeUnmade(path) } else { try markOpaque(path) }
  }

  private func markOpaque(_ path: TreePath) throws {
    switch whiteouts {
    case .overlay: try root.setAttribute(path, "trusted.overlay.opaque", [UInt8(ascii: "y")])
    case .overlayUser: try root.setAttribute(path, "user.overlay.opaque", [UInt8(ascii: "y")])
    case .apply: break
    }
  }

  /// Removes what the directory `path` has from earlier layers.
  private func removeUnmade(_ path: TreePath) throws {
    guard try root.status(path)?.kind == .directory else { return }
    for name in try root.directory(path).entries() {
      let child = path.child(name)
      if made.contains(child) { try removeUnmade(child) } else { try remove(child) }
    }
  }

  private func noteMade(_ path: TreePath) {
    var path = path
    while !path.isRoot, made.insert(path).inserted { path = path.parent }
  }

  /// Removes whatever is at `path`, and forgets what was to be done for directories in it.
  private func remove(_ path: TreePath) throws {
    try root.removeTree(path)
    if directoryTimes[path] != nil {
      for inner in directoryTimes.keys where inner.isWithin(path) { directoryTimes[inner] = nil }
      for inner in hidden where inner.isWithin(path) && inner != path { hidden.remove(inner) }
    }
  }
}
