internal import Core
internal import Linux

/// A view without what `--exclude` patterns hide below one of its directories.
struct FilteredTree: TreeView {
  private let view: any TreeView
  private let top: TreePath
  private let patterns: IgnorePatterns

  /// `patterns` see paths relative to `top`; `top` itself is never hidden.
  init(_ view: any TreeView, below top: TreePath, _ patterns: IgnorePatterns) {
    self.view = view
    self.top = top
    self.patterns = patterns
  }

  var label: String { view.label }

  func exclusion(_ path: TreePath) -> IgnoreLine? { view.exclusion(path) }

  func entry(_ path: TreePath) throws -> TreeNode? {
    guard let node = try view.entry(path) else { return nil }
    guard let relative = path.relative(to: top), !relative.isRoot else { return node }
    return try shows(relative, node, patterns.state(relative)) ? node : nil
  }

  func children(_ path: TreePath) throws -> [TreeChild] {
    let all = try view.children(path)
    guard let relative = path.relative(to: top) else { return all }
    let state = patterns.state(relative)
    return try all.filter { child in
      let below = relative.child(child.name)
      return try shows(below, child.node, patterns.state(below, below: state))
    }
  }

  func open(_ path: TreePath) throws -> FilePart { try view.open(path) }

  /// Whether the node is there: not hidden, or a directory with something that an exception brings back.
  private func shows(_ relative: TreePath, _ node: TreeNode, _ state: IgnorePatterns.State) throws -> Bool {
    if !state.isMatched { return true }
    guard node.kind == .directory, patterns.couldContainExceptions(relative) else { return false }
    for child: TreeChild in try view.children(top.appending(relative)) {
      let below = relative.child(child.name)
      if try shows(below, child.node, patterns.state(below, below: state)) { return true }
    }
    return false
  }
}
