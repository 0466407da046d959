internal import Core
internal import Linux

/// Members that one thread puts together.
struct CopyWork: Sendable {
  enum Item: Sendable {
    /// A member with its data.
    case member(CopyPlan.Entry)
    /// The headers of a large file.
    case header(TarEntry)
    /// Entries of a directory, of large files the headers only.
    case listed(CopiedDirectory, Range<Int>)
    /// Bytes of a large file.
    case piece(LargeMember, offset: Int64, count: Int, isLast: Bool)
  }

  let plan: CopyPlan
  var items: [Item]

  /// The bytes of the members.
  func assemble() throws -> TarWriter.Assembled {
    var out = TarWriter.Assembled(bytes: TarBuffer(capacity: TarBuffer.pieceCapacity))
    for item: Item in items {
      switch item {
      case .member(let member): try add(member, to: &out)
      case .header(let entry): try out.begin(entry)
      case .listed(let directory, let range):
        var open: Directory?
        for index: Int in range { try add(directory, index, &open, to: &out) }
      case .piece(let file, let offset, let count, let isLast):
        try file.append(to: out.bytes, offset: offset, count: count, isLast: isLast)
      }
    }
    return out
  }

  private func add(_ member: CopyPlan.Entry, to out: inout TarWriter.Assembled) throws {
    try out.begin(member.entry)
    if let file = try plan.file(member) {
      return try file.append(to: out.bytes, offset: 0, count: Int(member.entry.size), isLast: true)
    }
    guard let source = try plan.source(member) else { return }
    let count = Int(member.entry.size)
    // One byte more than is wanted tells whether there is more.
    let read = try source.fill(out.bytes.room(count + 1))
    guard read == count else { throw changed(member.entry.path) }
    out.bytes.advance(count)
    out.bytes.appendZeros(TarHeader.padding(member.entry.size))
  }

  private func add(
    _ directory: CopiedDirectory, _ index: Int, _ open: inout Directory?, to out: inout TarWriter.Assembled
  ) throws {
    let listing = directory.listing
    let kind = listing.kind(index)
    if kind == .socket { return }
    let entry = try directory.entry(index, plan.metadata, &open)
    try out.begin(entry)
    guard kind == .regular, entry.size > 0, !directory.isLarge(index) else { return }
    let count = Int(entry.size)
    if let kept = listing.content(index).bytes {
      out.bytes.append(UnsafeRawBufferPointer(start: kept, count: count))
    } else {
      let read = try directory.read(index, into: out.bytes.room(count + 1), &open)
      guard read == count else { throw changed(entry.path) }
      out.bytes.advance(count)
    }
    out.bytes.appendZeros(TarHeader.padding(entry.size))
  }

  private func changed(_ path: TreePath) -> Failure { Failure("read \(path)", "file changed while it was read") }
}

/// A directory of a tree of the host that is copied as it is. It is open no longer than it is read: there may be more
/// directories than files can be open. Who reads keeps it in `open`.
final class CopiedDirectory: Sendable {
  let host: HostTree
  /// Where it is, and where it goes.
  let path: TreePath
  let target: TreePath
  let listing: TreeListing

  init(_ host: HostTree, _ path: TreePath, at target: TreePath) throws {
    self.host = host
    self.path = path
    self.target = target
    listing = try host.listing(path)
  }

  /// The member for an entry. Each is asked for by one thread.
  func entry(_ index: Int, _ metadata: CopyMetadata, _ open: inout Directory?) throws -> TarEntry {
    // Where the listing was made anew, what was learned by digesting the first is not known.
    if listing.kind(index) == .regular, !listing.content(index).isKnown, let host = listing.host {
      listing.setCapability(index, try host.capability(index, in: opened(&open)))
    }
    return metadata.entry(listing.node(index), target.child(listing.name(index)))
  }

  /// Whether the file is given out in pieces.
  func isLarge(_ index: Int) -> Bool {
    listing.size(index) > CopyCursor.pieceSize && listing.content(index).bytes == nil
  }

  /// Reads a file from its start; throws if it is not as it was listed.
  func read(
    _ index: Int, into buffer: UnsafeMutableRawBufferPointer, _ open: inout Directory?
  ) throws -> Int {
    guard let host = listing.host else { return 0 }
    return try host.readAgain(index, in: opened(&open), into: buffer)
  }

  private func opened(_ open: inout Directory?) throws -> Directory {
    let there = try open ?? host.open(directory: path)
    open = there
    return there
  }
}

/// A file whose bytes are put into an archive piece by piece, maybe by several threads.
final class LargeMember: Sendable {
  let entry: TarEntry
  private let part: FilePart
  /// What a file of the host was when it was first seen.
  private let identity: FileIdentity?
  private let isSparse: Bool

  init(_ entry: TarEntry, _ part: FilePart, _ identity: FileIdentity? = nil, isSparse: Bool = false) {
    self.entry = entry
    self.part = part
    self.identity = identity
    self.isSparse = isSparse
  }

  /// Adds `count` bytes from `offset` to `out`, and after the last ones what fills the block. Throws if the file has
  /// others than it had.
  func append(to out: TarBuffer, offset: Int64, count: Int, isLast: Bool) throws {
    // One byte more than is wanted tells whether there is more.
    let room = out.room(isLast ? count + 1 : count)
    let read = isSparse ? try part.file.fillSparse(room, at: offset) : try part.fill(room, at: offset)
    // Each time: pieces are read in any order.
    guard read == count, try part.isStill(identity) else {
      throw Failure("read \(entry.path)", "file changed while it was read")
    }
    out.advance(count)
    if isLast { out.appendZeros(TarHeader.padding(entry.size)) }
  }
}
