internal import Core
internal import Linux

/// Walks through a plan and cuts it into pieces of work, each some members or a part of a large one.
final class CopyCursor {
  /// Bytes of archive in a piece, about.
  static let pieceSize: Int64 = 524_288

  private let plan: CopyPlan
  private var part = 0
  /// The directories of a tree on the way down, and where in each the walk is.
  private var walk: [(directory: CopiedDirectory, next: Int)] = []
  /// A file larger than a piece, and how much of it is given out.
  private var large: (file: LargeMember, offset: Int64)?

  init(_ plan: CopyPlan) { self.plan = plan }

  func next() throws -> CopyWork? {
    if let (file, offset) = large {
      let count = min(CopyCursor.pieceSize, file.entry.size - offset)
      let isLast = offset + count == file.entry.size
      large = isLast ? nil : (file, offset + count)
      return CopyWork(plan: plan, items: [.piece(file, offset: offset, count: Int(count), isLast: isLast)])
    }
    var items: [CopyWork.Item] = []
    var room = CopyCursor.pieceSize
    while room > 0, large == nil {
      if let (directory, next) = walk.last {
        let range = try take(from: directory, next, &room)
        if !range.isEmpty { items.append(.listed(directory, range)) }
        continue
      }
      guard part < plan.parts.count else { break }
      let entry = plan.parts[part]
      part += 1
      if case .tree(let view, let path) = entry.data, let host = plan.views[view] as? HostTree {
        items.append(.member(entry))
        walk = [(try CopiedDirectory(host, path, at: entry.entry.path), 0)]
      } else if entry.entry.kind == .regular, entry.entry.size > CopyCursor.pieceSize, let file = try plan.file(entry) {
        items.append(.header(entry.entry))
        large = (file, 0)
      } else {
        items.append(.member(entry))
      }
      room -= 1024 + entry.entry.size
    }
    return items.isEmpty ? nil : CopyWork(plan: plan, items: items)
  }

  /// The next entries of the directory that the walk is in, up to one that the walk goes into.
  private func take(from directory: CopiedDirectory, _ first: Int, _ room: inout Int64) throws -> Range<Int> {
    let listing = directory.listing
    var next = first
    var inner: CopiedDirectory?
    while next < listing.count, room > 0, inner == nil, large == nil {
      switch listing.kind(next) {
      case .directory:
        let name = listing.name(next)
        inner = try CopiedDirectory(directory.host, directory.path.child(name), at: directory.target.child(name))
      case .regular where directory.isLarge(next):
        let part = try directory.host.open(directory.path.child(listing.name(next)))
        var open: Directory?
        large = (LargeMember(try directory.entry(next, plan.metadata, &open), part, listing.identity(next)), 0)
      case .regular: room -= listing.size(next)
      default: break
      }
      room -= 1024
      next += 1
    }
    walk[walk.count - 1].next = next
    if next == listing.count { walk.removeLast() }
    if let inner { walk.append((inner, 0)) }
    return first..<next
  }
}
