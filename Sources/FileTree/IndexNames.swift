/// Finds the edges of a growing `IndexTree` by directory and name.
///
/// Open addressing over the numbers of edges. The hash is keyed anew in each process, so that no archive can make its
/// names collide; nothing depends on the order of the slots.
struct IndexNames {
  private var slots = ContiguousArray(repeating: IndexTree.none, count: 64)
  private var count = 0

  /// The edge called `name` in `directory`, one without a node too.
  func edge(_ name: ArraySlice<UInt8>, in directory: UInt32, of tree: IndexTree) -> Int? {
    name.withUnsafeBytes { name in
      tree.bytes.withUnsafeBytes { bytes in
        var slot = IndexNames.hash(name, directory) & (slots.count - 1)
        while slots[slot] != IndexTree.none {
          let edge = Int(slots[slot])
          let record = tree.edges[edge]
          if record.parent == directory, IndexNames.isEqual(name, Int(record.name), bytes) { return edge }
          slot = (slot + 1) & (slots.count - 1)
        }
        return nil
      }
    }
  }

  /// Adds the last edge of `tree`.
  mutating func addLast(of tree: IndexTree) {
    if 2 * (count + 1) > slots.count { grow(tree) }
    put(UInt32(tree.edges.count - 1), tree)
    count += 1
  }

  private mutating func grow(_ tree: IndexTree) {
    let old = slots
    slots = ContiguousArray(repeating: IndexTree.none, count: 2 * old.count)
    for edge in old where edge != IndexTree.none { put(edge, tree) }
  }

  private mutating func put(_ edge: UInt32, _ tree: IndexTree) {
    let record = tree.edges[Int(edge)]
    let start = Int(record.name)
    var slot = tree.bytes.withUnsafeBytes { bytes in
      let name = UnsafeRawBufferPointer(rebasing: bytes[(start + 1)..<(start + 1 + Int(bytes[start]))])
      return IndexNames.hash(name, record.parent) & (slots.count - 1)
    }
    while slots[slot] != IndexTree.none { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = edge
  }

  private static func hash(_ name: UnsafeRawBufferPointer, _ directory: UInt32) -> Int {
    var hasher = Hasher()
    hasher.combine(directory)
    hasher.combine(bytes: name)
    return hasher.finalize()
  }

  private static func isEqual(_ name: UnsafeRawBufferPointer, _ start: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard Int(bytes[start]) == name.count else { return false }
    for i in 0..<name.count where name[i] != bytes[start + 1 + i] { return false }
    return true
  }
}
