public import Core
internal import Linux

extension IndexTree {
  /// The metadata of a node, all its attributes among them.
  public func node(_ id: NodeID) -> TreeNode {
    let record = records[Int(id.index)]
    let device =
      ErofsFormat.isDevice(record.mode) ? ErofsFormat.majorMinor(UInt32(truncatingIfNeeded: record.start)) : (0, 0)
    let target = record.isSymlink ? Array(bytes[Int(record.head)..<Int(record.head + record.count)]) : []
    return TreeNode(
      kind: ErofsFormat.kind(ofMode: record.mode) ?? .regular, mode: record.mode & 0o7777, uid: record.uid,
      gid: record.gid, size: record.isRegular ? record.size : 0,
      mtime: Timestamp(seconds: record.seconds, nanoseconds: Int32(clamping: record.nanoseconds)),
      linkTarget: target, deviceMajor: device.0, deviceMinor: device.1, xattrs: xattrs(record))
  }

  /// The pieces of a regular file's data, none of another node.
  public func extents(_ id: NodeID) -> [Extent] {
    let record = records[Int(id.index)]
    guard record.isRegular, record.size > 0 else { return [] }
    if record.isSparse {
      return record.count == 0 ? [] : Array(pieces[Int(record.head)..<Int(record.head + record.count)])
    }
    return [Extent(offset: 0, device: Int(record.device), start: record.start, length: record.size)]
  }

  /// The entries of a directory, sorted by the bytes of their names.
  public func children(_ id: NodeID) -> [(name: [UInt8], node: NodeID)] {
    sortedEdges(id.index).map { (Array(name(edge: Int($0))), NodeID(index: edges[Int($0)].node)) }
  }

  /// The number of names that a node has; of a directory 2 and one for each directory in it, as stat(2) has it.
  public func linkCount(_ id: NodeID) -> Int {
    let record = records[Int(id.index)]
    return Int(record.links) + (record.isDirectory ? 2 : 0)
  }

  /// The node at `path`, nil if there is none; no symbolic link is followed. It looks through whole directories.
  public func find(_ path: TreePath) -> NodeID? {
    var at = IndexTree.root
    for component in path.components {
      guard records[Int(at.index)].isDirectory,
        let child = children(at).first(where: { $0.name.elementsEqual(component) })
      else { return nil }
      at = child.node
    }
    return at
  }

  func name(edge: Int) -> ArraySlice<UInt8> {
    let start = Int(edges[edge].name)
    return ArraySlice(bytes[(start + 1)..<(start + 1 + Int(bytes[start]))])
  }

  func xattrs(_ record: Record) -> [TarEntry.ExtendedAttribute] {
    if record.xattrs == 0 { return [] }
    return ErofsXattrs.decode(bytes[Int(record.xattrs)...]) ?? []
  }

  /// The edges of `directory` that have a node, sorted by name.
  func sortedEdges(_ directory: UInt32) -> [UInt32] {
    let record = records[Int(directory)]
    guard record.isDirectory, record.count > 0 else { return [] }
    var out: [UInt32] = []
    out.reserveCapacity(Int(record.count))
    var edge = record.head
    while edge != IndexTree.none {
      if edges[Int(edge)].node != IndexTree.none { out.append(edge) }
      edge = edges[Int(edge)].next
    }
    out.reverse()
    bytes.withUnsafeBytes { bytes in
      // A tar that we made has its members in this order.
      var isSorted = true
      for i in out.indices.dropFirst()
      where !IndexTree.precedes(edges[Int(out[i - 1])].name, edges[Int(out[i])].name, bytes) {
        isSorted = false
        break
      }
      if !isSorted { out.sort { IndexTree.precedes(edges[Int($0)].name, edges[Int($1)].name, bytes) } }
    }
    return out
  }

  /// Whether the name at `a` of `bytes` stands before the one at `b`.
  private static func precedes(_ a: UInt32, _ b: UInt32, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let first = Int(a)
    let second = Int(b)
    let count = Int(min(bytes[first], bytes[second]))
    var i = 1
    while i <= count {
      let x = bytes[first + i]
      let y = bytes[second + i]
      if x != y { return x < y }
      i += 1
    }
    return bytes[first] < bytes[second]
  }
}
