public import Core
public import Linux
internal import Synchronization

/// A directory of the host as a tree: a build context, less what its ignore file hides.
///
/// Listings and nodes are kept, so that all steps of a build see one state of it and walk it once: what a digest was
/// made of is what is copied, or the copy fails.
public struct HostTree: TreeView {
  /// Whom the files belong to.
  public enum Owner: Sendable, Equatable {
    /// Root, whoever owns them on the host: what Docker makes of a build context.
    case zero
    /// Whom the host says.
    case asIs
  }

  public let label: String
  private let directory: Directory
  private let ignore: IgnorePatterns?
  private let owner: Owner
  private let listings = Listings()

  public init(
    _ directory: Directory, ignore: IgnorePatterns? = nil, owner: Owner = .zero, label: String = "the build context"
  ) {
    self.directory = directory
    self.ignore = ignore.flatMap { $0.isEmpty ? nil : $0 }
    self.owner = owner
    self.label = label
  }

  public func exclusion(_ path: TreePath) -> IgnoreLine? { ignore?.explain(path) }

  /// As it was when it was first asked for. Throws a `Failure` if it can't be kept in memory and has changed since.
  public func entry(_ path: TreePath) throws -> TreeNode? {
    if let kept = listings.node(path) { return kept.node }
    guard let kept = listings.keep(try read(path), at: path) else { throw changed(path) }
    return kept.node
  }

  private func read(_ path: TreePath) throws -> TreeNode? {
    guard let status = try directory.status(path) else { return nil }
    if let ignore, !path.isRoot {
      // A directory that an exception reaches into can be named even if nothing in it is left.
      if ignore.matches(path), status.kind != .directory || !ignore.couldContainExceptions(path) { return nil }
    }
    return try HostNode.read(status, path, in: directory, owner: owner)
  }

  public func children(_ path: TreePath) throws -> [TreeChild] {
    let listing = try listing(path)
    var open: Directory?
    return try (0..<listing.count).map { index in
      // Who digested the files knows their attributes.
      if listing.kind(index) == .regular, !listing.content(index).isKnown, let host = listing.host {
        let directory = try open ?? self.open(directory: path)
        open = directory
        listing.setCapability(index, try host.capability(index, in: directory))
      }
      return TreeChild(name: listing.name(index), node: listing.node(index))
    }
  }

  /// The entries of the directory `path`: one state of them. Throws a `Failure` if it can't be kept in memory and has
  /// changed since it was listed first.
  func listing(_ path: TreePath) throws -> TreeListing {
    if let kept = listings.of(path) { return kept }
    guard let listing = listings.keep(try list(path), of: path) else { throw changed(path) }
    return listing
  }

  private func changed(_ path: TreePath) -> Failure {
    Failure("read \(path) in \(label)", "it changed while it was copied")
  }

  /// Opens the directory `path` itself.
  func open(directory path: TreePath) throws -> Directory { try directory.directory(path) }

  /// Whether all that is below the directory `path` was digested and can be copied as it is: no hard links among it,
  /// and no name that a layer can't hold.
  func isPlain(below path: TreePath) -> Bool { listings.isPlain(below: path) }

  /// Remembers that the trees at `places` were digested, and what in them is not plain.
  func wasDigested(_ places: [TreePath], except odd: [TreePath]) { listings.wasDigested(places, except: odd) }

  /// Runs `body` while nobody else digests the tree: two of them would read the same files.
  func whileDigesting<T>(_ body: () throws -> T) rethrows -> T { try listings.whileDigesting(body) }

  private func list(_ path: TreePath) throws -> TreeListing {
    let inner = try open(directory: path)
    let listing = try DirectoryListing(inner)
    if let ignore {
      let state = ignore.state(path)
      try listing.keep { index in
        let child = path.child(Array(listing.name(index)))
        let matched = ignore.state(child, below: state)
        if !matched.isMatched { return true }
        return try listing.kind(index) == .directory && hasException(child, matched)
      }
    }
    return TreeListing(listing, owner: owner)
  }

  public func open(_ path: TreePath) throws -> FilePart { FilePart(try directory.open(path)) }

  /// Whether the ignored directory `path` holds something that an exception brings back: then it is there itself.
  private func hasException(_ path: TreePath, _ state: IgnorePatterns.State) throws -> Bool {
    guard let ignore, ignore.couldContainExceptions(path) else { return false }
    let inner = try directory.directory(path)
    let listing = try DirectoryListing(inner)
    for index in 0..<listing.count {
      let child = path.child(Array(listing.name(index)))
      let matched = ignore.state(child, below: state)
      if !matched.isMatched { return true }
      if listing.kind(index) == .directory, try hasException(child, matched) { return true }
    }
    return false
  }
}

/// Listings of directories and single nodes, up to 150,000 entries in all. The rest is read again; of it a hash is
/// kept, which tells whether it is as it was.
private final class Listings: Sendable {
  /// What was found at a path.
  struct Found {
    var node: TreeNode?

    /// A hash of all that reaches an image, and of what tells contents apart.
    var fingerprint: Int {
      var hasher = Hasher()
      guard let node else { return hasher.finalize() }
      hasher.combine(node.kind)
      hasher.combine(node.mode)
      hasher.combine(node.uid)
      hasher.combine(node.gid)
      hasher.combine(node.linkTarget)
      hasher.combine(node.contentKey)
      return hasher.finalize()
    }
  }

  private struct Kept {
    var count = 0
    var listings: [TreePath: TreeListing] = [:]
    var fingerprints: [TreePath: UInt64] = [:]
    var nodes: [TreePath: Found] = [:]
    var nodeFingerprints: [TreePath: Int] = [:]
  }

  private static let limit = 150_000
  private let kept = Mutex(Kept())
  private let digesting = Mutex(())
  private let digested = Mutex<(places: [TreePath], odd: [TreePath])>(([], []))

  func wasDigested(_ places: [TreePath], except odd: [TreePath]) {
    digested.withLock { digested in
      digested.places += places
      digested.odd += odd
    }
  }

  func isPlain(below path: TreePath) -> Bool {
    digested.withLock { digested in
      digested.places.contains { path.isWithin($0) } && !digested.odd.contains { $0.isWithin(path) }
    }
  }

  func of(_ path: TreePath) -> TreeListing? { kept.withLock { $0.listings[path] } }

  /// Keeps `listing`, or gives the one that another thread was quicker with; nil if it is not what it was before.
  func keep(_ listing: TreeListing, of path: TreePath) -> TreeListing? {
    kept.withLock { kept in
      if let there = kept.listings[path] { return there }
      guard kept.count + listing.count < Listings.limit else {
        let fingerprint = listing.host?.fingerprint ?? 0
        if let before = kept.fingerprints[path] { return before == fingerprint ? listing : nil }
        kept.fingerprints[path] = fingerprint
        return listing
      }
      kept.listings[path] = listing
      kept.count += listing.count + 1
      return listing
    }
  }

  func node(_ path: TreePath) -> Found? { kept.withLock { $0.nodes[path] } }

  /// As `keep` of a listing.
  func keep(_ node: TreeNode?, at path: TreePath) -> Found? {
    kept.withLock { kept in
      if let there = kept.nodes[path] { return there }
      let found = Found(node: node)
      guard kept.count < Listings.limit else {
        let fingerprint = found.fingerprint
        if let before = kept.nodeFingerprints[path] { return before == fingerprint ? found : nil }
        kept.nodeFingerprints[path] = fingerprint
        return found
      }
      kept.nodes[path] = found
      kept.count += 1
      return found
    }
  }

  func whileDigesting<T>(_ body: () throws -> T) rethrows -> T { try digesting.withLock { _ in try body() } }
}

/// Reading one node of a directory of the host.
enum HostNode {
  /// The status of an entry that was listed; nil if it has vanished since.
  static func status(_ name: [UInt8], in directory: Directory) throws -> FileStatus? {
    do {
      return try directory.entryStatus(name)
    } catch let error as SystemError where error.code == .noEntry {
      return nil
    }
  }

  /// The node with `status` at `path` of `directory`.
  static func read(
    _ status: FileStatus, _ path: TreePath, in directory: Directory, owner: HostTree.Owner
  ) throws -> TreeNode {
    var target: [UInt8] = []
    var xattrs: [TarEntry.ExtendedAttribute] = []
    switch status.kind {
    case .symlink: target = try directory.readLink(path)
    case .regular, .directory: xattrs = try attributes(path, in: directory)
    default: break
    }
    var node = TreeNode(status, linkTarget: target, xattrs: xattrs)
    if owner == .zero {
      node.uid = 0
      node.gid = 0
    }
    return node
  }

  /// The attributes that COPY and ADD keep: file capabilities only, as Docker and BuildKit.
  static func belongsIntoLayer(_ name: String) -> Bool { name == "security.capability" }

  private static func attributes(_ path: TreePath, in directory: Directory) throws -> [TarEntry.ExtendedAttribute] {
    var out: [TarEntry.ExtendedAttribute] = []
    for name in try directory.entryAttributeNames(path) where belongsIntoLayer(name) {
      if let value = try directory.attribute(path, name) { out.append(TarEntry.ExtendedAttribute(name, value)) }
    }
    return out
  }
}
