internal import Core
internal import Linux

/// The rules of one source (fsutil/copy: Copy, prepareTargetDir, copy).
extension CopyPlanner {
  /// Adds what `source` selects.
  func add(_ source: CopySelection.Source) throws {
    switch source {
    case .bytes(let bytes, let name): try addBytes(bytes, name)
    case .tree(let view, let pattern):
      views.append(view)
      let expansion = SourceExpansion(view, pattern, instruction: selection.instruction)
      if selection.keepsParents {
        try addKeepingParents(expansion)
      } else {
        for path: TreePath in try expansion.matches() { try addMatch(path, of: expansion) }
      }
    }
  }

  private var isDirectoryWanted: Bool {
    destination.last == UInt8(ascii: "/") || destination.suffix(2).elementsEqual("/.".utf8) || destination.isEmpty
  }

  private func addBytes(_ bytes: [UInt8], _ name: String) throws {
    let action = "\(selection.instruction) \(name)"
    let target = try prepare(name: Array(name.utf8), isDirectory: false, for: action)
    var entry = TarEntry(
      path: target, kind: .regular, mode: 0o644, uid: selection.owner?.uid ?? 0, gid: selection.owner?.gid ?? 0,
      size: Int64(bytes.count), mtime: created)
    entry.mode = selection.mode?.applied(to: entry.mode, isDirectory: false) ?? entry.mode
    try putFile(CopyPlan.Entry(entry: entry, data: .bytes(bytes), origin: .copied), for: action)
  }

  private func addMatch(_ path: TreePath, of source: SourceExpansion) throws {
    let action = "\(selection.instruction) \(source.shown)"
    guard let place = try source.view.resolve(path), let node = try source.view.entry(place) else {
      throw try source.missing(path)
    }
    if node.kind != .directory {
      if !path.isRoot, excludes.matches(TreePath.root.child(path.name)) { return }
      if selection.unpacksArchives, node.kind == .regular, try unpack(place, node, of: source.view, for: action) {
        return
      }
    }
    let target = try prepare(name: Array(path.name), isDirectory: node.kind == .directory, for: action)
    var view: any TreeView = source.view
    if !excludes.isEmpty { view = FilteredTree(source.view, below: place, excludes) }
    let walk = Walk(view: view, index: views.count - 1, action: action)
    try copy(place, node, to: target, walk, isBelowTop: false)
  }

  /// The place where a source goes, and the directories on the way to it.
  private func prepare(name: [UInt8], isDirectory: Bool, for action: String) throws -> TreePath {
    let path = TreePath(clamping: destination)
    _ = try ensureDirectory(isDirectoryWanted ? path : path.parent, for: action)
    var target = try place(path)
    let existing = try node(target)
    if !isDirectory, existing?.kind == .directory { target = target.child(name) }
    if isDirectory, existing == nil {
      _ = try ensureDirectory(target, for: action)
    } else {
      _ = try ensureDirectory(target.parent, for: action)
    }
    return target
  }

  /// One source on its way.
  final class Walk {
    let view: any TreeView
    let index: Int
    let action: String
    var links: [TreeNode.HardLinkKey: Int] = [:]

    init(view: any TreeView, index: Int, action: String) {
      self.view = view
      self.index = index
      self.action = action
    }
  }

  /// Copies `node`, which `path` names in the walk's view, to `target`. Below the top, an existing directory gets the
  /// source's metadata, and what is of another kind gives way.
  func copy(_ path: TreePath, _ node: TreeNode, to target: TreePath, _ walk: Walk, isBelowTop: Bool) throws {
    switch node.kind {
    case .socket: return
    case .directory:
      let existing = try self.node(target)
      if existing?.kind == .directory {
        if isBelowTop { try putDirectory(node, target, isNew: false, walk) }
      } else {
        guard existing == nil || isBelowTop else {
          throw Failure(walk.action, "cannot copy to non-directory: \(target)")
        }
        if existing == nil, try graft(path, node, to: target, walk) { return }
        try putDirectory(node, target, isNew: true, walk)
      }
      for child: TreeChild in try walk.view.children(path) {
        try copy(
          path.child(child.name), child.node, to: target.child(child.name), walk, isBelowTop: true)
      }
    default:
      var entry = CopyPlan.Entry(entry: tarEntry(node, target), data: .none, origin: .copied)
      if node.kind == .regular {
        entry.data = .file(view: walk.index, path: path, key: node.contentKey)
        if let key = node.hardLinkKey {
          entry.linkGroup = walk.links[key] ?? nextLinkGroup()
          walk.links[key] = entry.linkGroup
        }
      }
      if isBelowTop {
        if try self.node(target)?.kind == .directory { removeTree(target) }
        try put(entry, isNew: false, for: walk.action)
      } else {
        try putFile(entry, for: walk.action)
      }
    }
  }

  private func putDirectory(_ node: TreeNode, _ target: TreePath, isNew: Bool, _ walk: Walk) throws {
    let entry = CopyPlan.Entry(entry: tarEntry(node, target), data: .none, origin: .copied)
    try put(entry, isNew: isNew, for: walk.action)
  }

  private func putFile(_ entry: CopyPlan.Entry, for action: String) throws {
    if try node(entry.entry.path)?.kind == .directory {
      throw Failure(action, "cannot replace directory \(entry.entry.path) with file")
    }
    try put(entry, isNew: false, for: action)
  }

  private func tarEntry(_ node: TreeNode, _ target: TreePath) -> TarEntry { metadata.entry(node, target) }

  /// Puts the directory `node` with all that is below `path` at `target`, where nothing is, as one entry. False if that
  /// can't be: the entries have to be looked at one by one.
  private func graft(_ path: TreePath, _ node: TreeNode, to target: TreePath, _ walk: Walk) throws -> Bool {
    guard !target.isRoot, let host = walk.view as? HostTree, host.isPlain(below: path) else { return false }
    let entry = CopyPlan.Entry(
      entry: tarEntry(node, target), data: .tree(view: walk.index, path: path), origin: .copied)
    try put(entry, isNew: true, for: walk.action)
    grafts.insert(target)
    return true
  }

  /// Makes whole trees that hold `path` single entries again, as far down as `path` goes.
  func separate(_ path: TreePath) throws {
    var at = TreePath.root
    for name: ArraySlice<UInt8> in path.components.dropLast() {
      at = at.child(name)
      try dissolve(at)
    }
  }

  /// Makes a whole tree at `path`, if there is one, a directory of single entries.
  func dissolve(_ path: TreePath) throws {
    guard grafts.remove(path) != nil, var entry = entries[path], case .tree(let view, let source) = entry.data else {
      return
    }
    entry.data = .none
    try put(entry, isNew: true, for: selection.instruction)
    let walk = Walk(view: views[view], index: view, action: selection.instruction)
    for child: TreeChild in try walk.view.children(source) {
      try copy(source.child(child.name), child.node, to: path.child(child.name), walk, isBelowTop: true)
    }
  }

  // MARK: --parents

  private func addKeepingParents(_ source: SourceExpansion) throws {
    let action = "\(selection.instruction) --parents \(source.shown)"
    let (pivot, matches) = try source.matchesKeepingParents()
    let whole = try ensureDirectory(TreePath(clamping: destination), for: action)
    var view: any TreeView = source.view
    if !excludes.isEmpty { view = FilteredTree(source.view, below: pivot, excludes) }
    let walk = Walk(view: view, index: views.count - 1, action: action)
    for relative: TreePath in matches {
      guard let node = try view.entry(pivot.appending(relative)) else { continue }
      try copyParents(of: relative, below: pivot, to: whole, walk)
      try copy(
        pivot.appending(relative), node, to: whole.appending(relative), walk, isBelowTop: !relative.isRoot)
    }
  }

  /// Copies the directories between `pivot` and `relative`, themselves alone.
  private func copyParents(of relative: TreePath, below pivot: TreePath, to whole: TreePath, _ walk: Walk) throws {
    var at = TreePath.root
    for name: ArraySlice<UInt8> in relative.components.dropLast() {
      at = at.child(name)
      guard let node = try walk.view.entry(pivot.appending(at)) else { return }
      let target = whole.appending(at)
      let existing = try self.node(target)
      if let existing, existing.kind != .directory {
        throw Failure(walk.action, "cannot copy to non-directory: \(target)")
      }
      try putDirectory(node, target, isNew: existing == nil, walk)
    }
  }
}
