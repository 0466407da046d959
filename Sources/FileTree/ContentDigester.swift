internal import Core
internal import Linux
internal import Synchronization

/// Digests what a selection takes from one view: directories as trees of digests, on several threads.
///
/// The digest of a directory is the SHA-256 of its entries' records, in the order of their names; a subdirectory's
/// record has its digest. A file's is the SHA-256 of its bytes, or beyond 4 MiB of the SHA-256s of its 4 MiB pieces, so
/// that large files are hashed on all processors.
final class ContentDigester: @unchecked Sendable {
  static let pieceSize: Int64 = 4 << 20
  /// More entries than this are not listed for people.
  static let maximumListed = 100_000

  /// One thing that was selected: how it is called, where it is, and what it is.
  struct Selected {
    var name: [UInt8]
    var place: TreePath
    var node: TreeNode
  }

  private let view: any TreeView
  private let index: ContextIndex?
  private let store: ContentStore?
  private let scratch: Scratch
  private let width: Int

  /// What several threads add to.
  private struct Found {
    var links: [Link] = []
    var listed: [TreePath: TreeListing] = [:]
    var count = 0
    /// Directories with entries that can't be copied as they are.
    var odd: [TreePath] = []
  }
  private let found = Mutex(Found())

  /// A name of a file that has several.
  private struct Link {
    var root: Int
    var path: TreePath
    var key: TreeNode.HardLinkKey
  }

  init(_ view: any TreeView, index: ContextIndex?, store: ContentStore?, width: Int) {
    self.view = view
    self.index = index
    self.store = store
    self.width = width
    scratch = Scratch(max(width, JobStack<Job>.mostThreads))
  }

  /// Adds the digest of all that is `selected` to `hasher`. Throws a `Failure` if a file changes meanwhile, and
  /// `CancellationError` in a cancelled task.
  func digest(_ selected: [Selected], into hasher: inout SHA256Hasher) throws -> ContentList.Part {
    let roots = selected.enumerated().map { number, one in
      Directory(root: number, place: one.place, listing: TreeListing([TreeChild(name: one.name, node: one.node)]))
    }
    let host = view as? HostTree
    let digests = try (host?.whileDigesting { try run(roots) } ?? run(roots))
    for digest: RawDigest in digests {
      var bytes: [UInt8] = []
      digest.append(to: &bytes)
      hasher.update(bytes)
    }
    return found.withLock { found in
      host?.wasDigested(selected.filter { $0.node.kind == .directory }.map(\.place), except: found.odd)
      hasher.update(ContentDigester.text(of: found.links))
      return ContentList.Part(roots: roots.map { ($0.listing ?? TreeListing([]), $0.place) }, listed: found.listed)
    }
  }

  private func run(_ roots: [Directory]) throws -> [RawDigest] {
    let results = Mutex([RawDigest](repeating: RawDigest(), count: roots.count))
    try JobStack<Job>.run(roots.reversed().map { .list($0) }, width: width) { [self] job, thread, stack in
      switch job {
      case .list(let directory): try list(directory, thread, stack, results)
      case .hash(let files): try hash(files, thread, stack, results)
      case .piece(let file, let number): try hash(file, piece: number, thread, results)
      }
    }
    return results.withLock { $0 }
  }

  private typealias Results = Mutex<[RawDigest]>

  private enum Job: Sendable {
    case list(Directory)
    case hash(Files)
    case piece(LargeFile, Int)
  }

  /// A directory under way, or the one entry that was selected as if it were a directory.
  private final class Directory: @unchecked Sendable {
    let root: Int
    let path: TreePath
    let parent: Directory?
    /// Where its entry stands in the parent's listing.
    let position: Int
    /// Of a selected entry its own place.
    let place: TreePath
    var listing: TreeListing?
    /// Jobs and subdirectories that are not done.
    let pending = Atomic<Int>(1)

    init(_ path: TreePath, parent: Directory, position: Int) {
      self.path = path
      self.parent = parent
      self.position = position
      root = parent.root
      place = path
    }

    init(root: Int, place: TreePath, listing: TreeListing) {
      self.root = root
      self.place = place
      self.listing = listing
      path = place.parent
      parent = nil
      position = 0
    }

    var isSelection: Bool { parent == nil }
    func path(of index: Int) -> TreePath { isSelection ? place : path.child(listing?.name(index) ?? []) }
  }

  /// Files of one directory whose contents are not known.
  private struct Files: Sendable {
    var directory: Directory
    var open: Linux.Directory?
    var indices: [Int]
  }

  /// A file that is not read whole: it is hashed in pieces, maybe one.
  private final class LargeFile: @unchecked Sendable {
    let directory: Directory
    let position: Int
    let part: FilePart
    let size: Int64
    let hasCapability: Bool
    let pieces: Mutex<[RawDigest]>
    let pending: Atomic<Int>

    init(_ directory: Directory, _ position: Int, _ part: FilePart, size: Int64, hasCapability: Bool) {
      self.directory = directory
      self.position = position
      self.part = part
      self.size = size
      self.hasCapability = hasCapability
      let count = Int((size + ContentDigester.pieceSize - 1) / ContentDigester.pieceSize)
      pieces = Mutex([RawDigest](repeating: RawDigest(), count: count))
      pending = Atomic(count)
    }
  }

  // MARK: Jobs

  private func list(
    _ directory: Directory, _ thread: Int, _ stack: JobStack<Job>, _ results: borrowing Results
  ) throws {
    let listing = try directory.listing ?? listing(directory.path)
    directory.listing = listing
    var unknown: [Int] = []
    var inner: [Job] = []
    var open: Linux.Directory?
    for index in 0..<listing.count {
      switch listing.kind(index) {
      case .directory:
        inner.append(.list(Directory(directory.path(of: index), parent: directory, position: index)))
      case .regular where !listing.content(index).isKnown:
        if let known = self.index.flatMap({ memory in listing.identity(index).flatMap { memory.known($0) } }) {
          if known.hasCapability, let host = listing.host,
            let there = try open ?? self.open(directory.path)
          {
            open = there
            listing.setCapability(index, try host.capability(index, in: there))
          }
          listing.setContent(index, TreeListing.Content(digest: known.digest, isKnown: true))
        } else {
          unknown.append(index)
        }
      default: break
      }
    }
    var groups: [[Int]] = []
    var bytes: Int64 = 0
    for index: Int in unknown {
      if groups.isEmpty || bytes > 1 << 20 || (groups.last?.count ?? 0) >= 64 {
        groups.append([])
        bytes = 0
      }
      groups[groups.count - 1].append(index)
      bytes += listing.size(index)
    }
    if listing.host != nil, open == nil, !unknown.isEmpty { open = try self.open(directory.path) }
    var jobs = groups.map { Job.hash(Files(directory: directory, open: open, indices: $0)) }
    directory.pending.add(jobs.count + inner.count, ordering: .relaxed)
    inner.reverse()
    let own = jobs.popLast()
    stack.push(inner + jobs)
    if case .hash(let files)? = own { try hash(files, thread, stack, results) }
    end(directory, results)
  }

  private func open(_ path: TreePath) throws -> Linux.Directory? { try (view as? HostTree)?.open(directory: path) }

  private func listing(_ path: TreePath) throws -> TreeListing {
    if let host = view as? HostTree { return try host.listing(path) }
    return TreeListing(try view.children(path))
  }

  private func hash(_ files: Files, _ thread: Int, _ stack: JobStack<Job>, _ results: borrowing Results) throws {
    let directory = files.directory
    guard let listing = directory.listing else { return }
    for index: Int in files.indices {
      let size = listing.size(index)
      if size > ContentStore.largestFile {
        try split(directory, listing, index, stack)
        continue
      }
      let count = Int(size)
      // One byte more than is wanted tells whether there is more.
      let kept = files.open != nil ? store?.reserve(count + 1) : nil
      let buffer = UnsafeMutableRawBufferPointer(start: kept ?? scratch.buffer(thread), count: count + 1)
      var hasCapability = false
      if let host = listing.host, let open = files.open {
        let (read, isCapable) = try host.read(index, in: open, into: buffer)
        guard read == count else { throw changed(directory.path(of: index)) }
        if isCapable { listing.setCapability(index, try host.capability(index, in: open)) }
        hasCapability = isCapable
      } else {
        let path = directory.path(of: index)
        let part = try view.open(path)
        guard try part.fill(buffer, at: 0) == count, try part.isStill(listing.identity(index)) else {
          throw changed(path)
        }
        hasCapability = !listing.node(index).xattrs.isEmpty
      }
      let digest = RawDigest(hashing: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      listing.setContent(
        index, TreeListing.Content(digest: digest, isKnown: true, bytes: kept.map { UnsafeRawPointer($0) }))
      remember(listing, index, digest, hasCapability)
    }
    end(directory, results)
  }

  private func remember(_ listing: TreeListing, _ index: Int, _ digest: RawDigest, _ hasCapability: Bool) {
    guard let memory = self.index, let identity = listing.identity(index) else { return }
    memory.remember(identity, ContextIndex.Known(digest: digest, hasCapability: hasCapability))
  }

  private func split(_ directory: Directory, _ listing: TreeListing, _ index: Int, _ stack: JobStack<Job>) throws {
    let path = directory.path(of: index)
    let part = try view.open(path)
    var value: [UInt8]?
    if listing.host != nil {
      value = try part.file.attribute("security.capability")
      listing.setCapability(index, value)
    } else if !listing.node(index).xattrs.isEmpty {
      value = []
    }
    let file = LargeFile(directory, index, part, size: listing.size(index), hasCapability: value != nil)
    directory.pending.add(1, ordering: .relaxed)
    let count = file.pieces.withLock { $0.count }
    stack.push((0..<count).reversed().map { .piece(file, $0) })
  }

  private func hash(_ file: LargeFile, piece: Int, _ thread: Int, _ results: borrowing Results) throws {
    let start = Int64(piece) * ContentDigester.pieceSize
    let isLast = start + ContentDigester.pieceSize >= file.size
    let count = Int(min(ContentDigester.pieceSize, file.size - start))
    var hasher = SHA256Hasher()
    var done = 0
    // In parts that stay in the processor's cache between the reading and the hashing.
    while done < count {
      let part = min(count - done, 262_144)
      let buffer = UnsafeMutableRawBufferPointer(start: scratch.buffer(thread), count: part)
      guard try file.part.fill(buffer, at: start + Int64(done)) == part else {
        throw changed(file.directory.path(of: file.position))
      }
      hasher.update(UnsafeRawBufferPointer(buffer))
      done += part
    }
    // What was added to the file since is found at its end.
    let beyond = UnsafeMutableRawBufferPointer(start: scratch.buffer(thread), count: 1)
    if isLast, try file.part.fill(beyond, at: file.size) > 0 { throw changed(file.directory.path(of: file.position)) }
    let digest = hasher.rawDigest()
    file.pieces.withLock { $0[piece] = digest }
    guard file.pending.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
    let pieces = file.pieces.withLock { $0 }
    var whole = digest
    if pieces.count > 1 {
      var all = Array("stave pieces\n".utf8)
      for digest: RawDigest in pieces { digest.append(to: &all) }
      whole = RawDigest(hashing: all)
    }
    guard let listing = file.directory.listing else { return }
    guard try file.part.isStill(listing.identity(file.position)) else {
      throw changed(file.directory.path(of: file.position))
    }
    listing.setContent(file.position, TreeListing.Content(digest: whole, isKnown: true))
    remember(listing, file.position, whole, file.hasCapability)
    end(file.directory, results)
  }

  /// Counts one job of `directory` as done; after the last one its digest is made, and handed up.
  private func end(_ directory: Directory, _ results: borrowing Results) {
    var directory = directory
    while directory.pending.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
      let digest = finish(directory)
      guard let parent = directory.parent else {
        results.withLock { $0[directory.root] = digest }
        return
      }
      parent.listing?.setContent(directory.position, TreeListing.Content(digest: digest, isKnown: true))
      directory = parent
    }
  }

  private func finish(_ directory: Directory) -> RawDigest {
    guard let listing = directory.listing else { return RawDigest() }
    var hasher = SHA256Hasher()
    var buffer: [UInt8] = []
    buffer.reserveCapacity(min(listing.count * 80, 70_000))
    var links: [Link] = []
    var isOdd = false
    for index in 0..<listing.count where listing.kind(index) != .socket {
      listing.appendRecord(index, to: &buffer)
      if buffer.count > 65536 {
        hasher.update(buffer)
        buffer.removeAll(keepingCapacity: true)
      }
      if listing.isWhiteout(index) { isOdd = true }
      if let key = listing.hardLink(index) {
        links.append(Link(root: directory.root, path: directory.path(of: index), key: key))
      }
    }
    hasher.update(buffer)
    found.withLock { found in
      found.links += links
      if isOdd || !links.isEmpty { found.odd.append(directory.path) }
      found.count += listing.count
      if directory.isSelection { return }
      if found.count <= ContentDigester.maximumListed { found.listed[directory.path] = listing }
    }
    return hasher.rawDigest()
  }

  /// Which files are one file, told by the order of their paths: inode numbers differ from machine to machine.
  private static func text(of links: [Link]) -> [UInt8] {
    struct Group: Hashable {
      var root: Int
      var key: TreeNode.HardLinkKey
    }
    let groups = Dictionary(grouping: links) { Group(root: $0.root, key: $0.key) }.values
      .filter { $0.count > 1 }
      .map { $0.sorted { $0.path < $1.path } }
      .sorted { ($0[0].root, $0[0].path) < ($1[0].root, $1[0].path) }
    var out: [UInt8] = []
    for group: [Link] in groups {
      out.append(contentsOf: "links \(group[0].root) \(group.count)\n".utf8)
      for link: Link in group {
        out.append(contentsOf: "\(link.path.bytes.count) ".utf8)
        out.append(contentsOf: link.path.bytes)
      }
    }
    return out
  }

  private func changed(_ path: TreePath) -> Failure { Failure("read \(path)", "file changed while it was read") }

  /// A buffer for each thread, made on first use.
  private final class Scratch: @unchecked Sendable {
    private let buffers: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let count: Int

    init(_ count: Int) {
      self.count = count
      buffers = .allocate(capacity: count)
      buffers.initialize(repeating: nil, count: count)
    }

    deinit {
      for index in 0..<count { buffers[index]?.deallocate() }
      buffers.deallocate()
    }

    func buffer(_ thread: Int) -> UnsafeMutableRawPointer {
      if let there = buffers[thread] { return there }
      let new = UnsafeMutableRawPointer.allocate(byteCount: Int(ContentStore.largestFile) + 1, alignment: 4096)
      buffers[thread] = new
      return new
    }
  }
}
