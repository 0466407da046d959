internal import Core
internal import Linux

extension LayerIndexBuilder {
  /// As many symbolic links as the kernel follows in one path.
  private static let maximumLinks = 40

  /// The directory `path`, which is made with its parents where it is missing. Throws if something else is there.
  func directory(_ path: ArraySlice<UInt8>) throws -> UInt32 {
    if path.isEmpty { return 0 }
    if path.elementsEqual(lastDirectory.path) { return lastDirectory.node }
    var at: UInt32 = 0
    var links = 0
    var rest = path
    while !rest.isEmpty {
      let component = rest.prefix { $0 != UInt8(ascii: "/") }
      rest = rest[component.endIndex...].dropFirst()
      at = try directory(component, in: at, path: path[..<component.endIndex], &links)
    }
    lastDirectory = (Array(path), at)
    return at
  }

  /// The directory called `name` in `parent`; `path` is where it stands.
  private func directory(
    _ name: ArraySlice<UInt8>, in parent: UInt32, path: ArraySlice<UInt8>, _ links: inout Int
  ) throws -> UInt32 {
    var new = TreeNode(kind: .directory, mode: 0o755, xattrs: [LayerWhiteout.impliedAttribute])
    if let edge = names.edge(name, in: parent, of: tree), tree.edges[edge].node != IndexTree.none {
      let node = tree.edges[edge].node
      let record = tree.records[Int(node)]
      if record.isDirectory { return node }
      if record.isSymlink, let found = try follow(node, in: parent, &links) { return found }
      guard record.isWhiteout else {
        throw Failure("index layer", "it has files below \(TreePath(clamping: path)), which is not a directory")
      }
      new.xattrs = TarEntry.sorted(new.xattrs + [LayerWhiteout.opaqueAttribute])
    }
    let made = try tree.add(new)
    try self.name(made, name, in: parent)
    impliedCount += 1
    return made.index
  }

  /// The edge of what is at `path`; symbolic links before its last component are followed. Nil if nothing is there.
  func find(_ path: TreePath) throws -> Int? {
    var at: UInt32 = 0
    var links = 0
    var rest = path.bytes[...]
    while true {
      let component = rest.prefix { $0 != UInt8(ascii: "/") }
      rest = rest[component.endIndex...].dropFirst()
      guard let edge = names.edge(component, in: at, of: tree) else { return nil }
      let node = tree.edges[edge].node
      if node == IndexTree.none { return nil }
      if rest.isEmpty { return edge }
      let record = tree.records[Int(node)]
      if record.isDirectory {
        at = node
      } else if record.isSymlink, let found = try follow(node, in: at, &links) {
        at = found
      } else {
        return nil
      }
    }
  }

  /// The directory to which the symbolic link `link` in `directory` leads, within the layer; nil if to none.
  private func follow(_ link: UInt32, in directory: UInt32, _ links: inout Int) throws -> UInt32? {
    var at = directory
    var rest: [ArraySlice<UInt8>] = []
    func push(_ link: UInt32) throws {
      links += 1
      guard links <= LayerIndexBuilder.maximumLinks else {
        throw Failure("index layer", "it has too many levels of symbolic links")
      }
      let record = tree.records[Int(link)]
      let text = Array(tree.bytes[Int(record.head)..<Int(record.head + record.count)])
      if text.first == UInt8(ascii: "/") { at = 0 }
      rest += text.split(separator: UInt8(ascii: "/")).reversed()
    }
    try push(link)
    while let name = rest.popLast() {
      if name.elementsEqual([46]) { continue }
      if name.elementsEqual([46, 46]) {
        at = tree.parent(of: at)
        continue
      }
      guard let edge = names.edge(name, in: at, of: tree), tree.edges[edge].node != IndexTree.none else { return nil }
      let node = tree.edges[edge].node
      let record = tree.records[Int(node)]
      if record.isDirectory {
        at = node
      } else if record.isSymlink {
        try push(node)
      } else {
        return nil
      }
    }
    return at
  }

  /// Gives `node` the name `name` in `parent`, in place of what has it.
  func name(_ node: IndexTree.NodeID, _ name: ArraySlice<UInt8>, in parent: UInt32) throws {
    if let edge = try clear(name, in: parent) { return tree.attach(node, edge: edge) }
    try tree.link(node, into: IndexTree.NodeID(index: parent), as: name)
    names.addLast(of: tree)
  }

  /// Takes away what is called `name` in `parent`, a directory with all that it holds; returns its edge.
  @discardableResult
  func clear(_ name: ArraySlice<UInt8>, in parent: UInt32) throws -> Int? {
    guard let edge = names.edge(name, in: parent, of: tree) else { return nil }
    let node = tree.edges[edge].node
    if node == IndexTree.none { return edge }
    tree.detach(edge: edge)
    // It may have been a link on the way there.
    lastDirectory = ([], 0)
    guard tree.records[Int(node)].isDirectory else { return edge }
    var directories = [node]
    while let directory = directories.popLast() {
      var inner = tree.records[Int(directory)].head
      while inner != IndexTree.none {
        let child = tree.edges[Int(inner)].node
        if child != IndexTree.none {
          if tree.records[Int(child)].isDirectory { directories.append(child) }
          tree.detach(edge: Int(inner))
        }
        inner = tree.edges[Int(inner)].next
      }
    }
    return edge
  }
}

extension [UInt8] {
  /// A path without its last component.
  var dropName: ArraySlice<UInt8> {
    guard let slash = lastIndex(of: UInt8(ascii: "/")) else { return [] }
    return self[..<slash]
  }
}
