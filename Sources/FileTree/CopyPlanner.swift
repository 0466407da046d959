internal import Core
internal import Linux

/// Plays the copies of one instruction on top of a tree, in their order, and keeps what changed.
final class CopyPlanner {
  let selection: CopySelection
  let base: any TreeView
  let created: Timestamp
  let scratch: Directory?
  let excludes: IgnorePatterns
  /// Where the next sources go.
  var destination: [UInt8]

  let metadata: CopyMetadata
  var views: [any TreeView] = []
  /// Where whole trees stand among the entries.
  var grafts: Set<TreePath> = []
  /// What the layer holds so far; no `.existing` entries yet.
  private(set) var entries: [TreePath: CopyPlan.Entry] = [:]
  /// Directories in `entries` below which `base` has nothing.
  private var fresh: Set<TreePath> = []
  private var listings: [TreePath: [[UInt8]: TreeNode]] = [:]
  private var lookups: [TreePath: Int] = [:]
  private var linkGroups = 0

  init(_ selection: CopySelection, onto base: any TreeView, created: Timestamp, scratch: Directory?) throws {
    self.selection = selection
    self.base = base
    self.created = created
    self.scratch = scratch
    destination = selection.destination
    metadata = CopyMetadata(owner: selection.owner, mode: selection.mode, latest: selection.latest)
    do {
      excludes = try IgnorePatterns(patterns: selection.excludes)
    } catch let failure as Failure {
      throw failure.during("\(selection.instruction) --exclude")
    }
  }

  // MARK: The tree as it is now

  /// The node at `path` after the copies so far.
  func node(_ path: TreePath) throws -> TreeNode? {
    if !grafts.isEmpty { try separate(path) }
    if let entry = entries[path] { return CopyPlanner.node(entry.entry) }
    if path.isRoot { return TreeNode(kind: .directory, mode: 0o755) }
    let parent = path.parent
    if fresh.contains(parent) { return nil }
    if let entry = entries[parent], entry.entry.kind != .directory { return nil }
    if let listing = listings[parent] { return listing[Array(path.name)] }
    // A few look-ups are cheaper than a listing, many are not.
    let count = lookups[parent, default: 0] + 1
    lookups[parent] = count
    if count <= 8 { return try base.entry(path) }
    guard try base.entry(parent)?.kind == .directory else {
      listings[parent] = [:]
      return nil
    }
    let children = try base.children(parent)
    listings[parent] = Dictionary(children.map { ($0.name, $0.node) }) { a, _ in a }
    return listings[parent]?[Array(path.name)]
  }

  private static func node(_ entry: TarEntry) -> TreeNode {
    let kind: TreeNode.Kind =
      switch entry.kind {
      case .directory: .directory
      case .symlink: .symlink
      case .regular, .hardLink: .regular
      case .characterDevice: .characterDevice
      case .blockDevice: .blockDevice
      case .fifo: .fifo
      }
    return TreeNode(
      kind: kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, size: entry.size, mtime: entry.mtime,
      linkTarget: kind == .symlink ? entry.linkTarget : [], xattrs: entry.xattrs)
  }

  /// What `path` means now, links followed, existing or not.
  func place(_ path: TreePath) throws -> TreePath {
    try PathResolution.resolve(path, followLast: true, in: base.label) { try self.node($0) }.whole
  }

  /// What `path` means below the directory `top`, whose links can't leave it.
  func place(_ path: TreePath, below top: TreePath) throws -> TreePath {
    let found = try PathResolution.resolve(path, followLast: true, in: base.label) { try self.node(top.appending($0)) }
    return top.appending(found.whole)
  }

  /// Makes the directories that `path` lacks, links followed; returns the place.
  func ensureDirectory(_ path: TreePath, for action: String) throws -> TreePath {
    let whole = try place(path)
    var missing: [TreePath] = []
    var at = whole
    while true {
      if let node = try node(at) {
        guard node.kind == .directory else { throw Failure(action, "\(at) is not a directory") }
        break
      }
      missing.append(at)
      at = at.parent
    }
    for path: TreePath in missing.reversed() {
      let owner = selection.owner
      try put(
        CopyPlan.Entry(
          entry: TarEntry(
            path: path, kind: .directory, mode: 0o755, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0, mtime: created),
          data: .none, origin: .created), isNew: true, for: action)
    }
    return whole
  }

  // MARK: Changing it

  /// Adds `entry` or puts it in the place of what was there. `isNew`: nothing was there.
  func put(_ entry: CopyPlan.Entry, isNew: Bool, for action: String) throws {
    let path = entry.entry.path
    if path.isRoot { return }
    guard !path.name.starts(with: ".wh.".utf8) else {
      throw Failure(action, "\(path): a name that begins with .wh. can't be in an image layer")
    }
    if !grafts.isEmpty { try dissolve(path) }
    entries[path] = entry
    if isNew, entry.entry.kind == .directory { fresh.insert(path) }
  }

  /// Drops what is planned at and below `path`, and hides what the base has there.
  func removeTree(_ path: TreePath) {
    for planned: TreePath in entries.keys where planned.isWithin(path) {
      entries[planned] = nil
      fresh.remove(planned)
      grafts.remove(planned)
    }
  }

  /// Marks that nothing of the base shows below the directory `path`.
  func hideBase(below path: TreePath) { fresh.insert(path) }

  func nextLinkGroup() -> Int {
    linkGroups += 1
    return linkGroups
  }

  /// Makes the files at `path` and of a later entry hard links; nil if there is no file in the plan.
  func linkGroup(of path: TreePath) -> (group: Int, entry: CopyPlan.Entry)? {
    guard var entry = entries[path], entry.entry.kind == .regular else { return nil }
    if entry.linkGroup == nil {
      entry.linkGroup = nextLinkGroup()
      entries[path] = entry
    }
    return (entry.linkGroup ?? 0, entry)
  }

  // MARK: The end

  /// The plan: parents repeated, sorted, of hard links the first by name with the data.
  func finish() throws -> CopyPlan {
    for path: TreePath in entries.keys {
      var parent = path.parent
      while !parent.isRoot, entries[parent] == nil {
        guard let node = try node(parent) else { break }
        entries[parent] = CopyPlan.Entry(
          entry: TarEntry(
            path: parent, kind: .directory, mode: node.mode, uid: node.uid, gid: node.gid, mtime: node.mtime,
            xattrs: node.xattrs), data: .none, origin: .existing)
        parent = parent.parent
      }
    }
    var first: [Int: TreePath] = [:]
    let sorted = entries.values.sorted { $0.entry.path < $1.entry.path }.map { entry in
      var entry = entry
      entry.entry.mtime = metadata.time(entry.entry.mtime)
      guard let group = entry.linkGroup else { return entry }
      guard let target = first[group] else {
        first[group] = entry.entry.path
        return entry
      }
      var link = entry
      link.entry.kind = .hardLink
      link.entry.size = 0
      link.entry.linkTarget = target.bytes
      link.entry.xattrs = []
      link.data = .none
      return link
    }
    return CopyPlan(views: views, parts: sorted, metadata: metadata)
  }
}
