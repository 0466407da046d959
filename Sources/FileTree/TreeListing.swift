internal import Core
internal import Linux
internal import Synchronization

/// The entries of one directory of a view, and what is known of their contents: what content digests are made of.
///
/// Contents are written once, by whoever digests the directory first; others may look meanwhile, and see all of one or
/// nothing.
final class TreeListing: @unchecked Sendable {
  /// What the content of an entry is: of a regular file its bytes, of a directory all that is below it.
  struct Content {
    var digest = RawDigest()
    var isKnown = false
    /// All bytes of a file, kept by a `ContentStore`.
    var bytes: UnsafeRawPointer?
  }

  private enum Source {
    case host(DirectoryListing)
    case nodes([TreeChild])
  }

  /// A content and whether it may be read.
  private struct Slot: ~Copyable {
    let isPublished = Atomic<Bool>(false)
    var content = Content()
  }

  /// Whom the files belong to.
  let owner: HostTree.Owner
  private let source: Source
  private let slots: UnsafeMutablePointer<Slot>
  let count: Int
  /// The value of `security.capability` of the few files of the host that have it.
  private let capabilities = Mutex<[Int: [UInt8]]>([:])

  /// The entries of a directory of the host.
  init(_ listing: DirectoryListing, owner: HostTree.Owner) {
    source = .host(listing)
    self.owner = owner
    count = listing.count
    slots = TreeListing.makeSlots(count)
  }

  /// The entries of a directory of any view.
  init(_ children: [TreeChild]) {
    source = .nodes(children)
    owner = .asIs
    count = children.count
    slots = TreeListing.makeSlots(count)
  }

  private static func makeSlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: max(1, count))
    for index in 0..<count { (slots + index).initialize(to: Slot()) }
    return slots
  }

  deinit {
    slots.deinitialize(count: count)
    slots.deallocate()
  }

  /// The entries, if they are of the host.
  var host: DirectoryListing? {
    if case .host(let listing) = source { listing } else { nil }
  }

  /// What is known by now.
  func content(_ index: Int) -> Content {
    slots[index].isPublished.load(ordering: .acquiring) ? slots[index].content : Content()
  }

  /// Makes the content known, unless it is. By one thread at a time.
  func setContent(_ index: Int, _ content: Content) {
    if slots[index].isPublished.load(ordering: .relaxed) { return }
    slots[index].content = content
    slots[index].isPublished.store(true, ordering: .releasing)
  }

  /// Keeps the attribute of a file of the host, whose content is made known after that.
  func setCapability(_ index: Int, _ value: [UInt8]?) { capabilities.withLock { $0[index] = value } }

  func kind(_ index: Int) -> TreeNode.Kind {
    switch source {
    case .host(let listing): listing.kind(index)
    case .nodes(let children): children[index].node.kind
    }
  }

  func size(_ index: Int) -> Int64 {
    switch source {
    case .host(let listing): listing.size(index)
    case .nodes(let children): children[index].node.size
    }
  }

  func name(_ index: Int) -> [UInt8] {
    switch source {
    case .host(let listing): Array(listing.name(index))
    case .nodes(let children): children[index].name
    }
  }

  /// Whether a layer would take the entry's name for a whiteout.
  func isWhiteout(_ index: Int) -> Bool {
    switch source {
    case .host(let listing): listing.name(index).starts(with: LayerWhiteout.prefix)
    case .nodes(let children): children[index].name.starts(with: LayerWhiteout.prefix)
    }
  }

  /// What names the file in a `ContextIndex`; nil if it is not a file of the host.
  func identity(_ index: Int) -> FileIdentity? {
    switch source {
    case .host(let listing): listing.identity(index)
    case .nodes(let children): children[index].node.contentKey
    }
  }

  /// More than one name: what the files are told apart by.
  func hardLink(_ index: Int) -> TreeNode.HardLinkKey? {
    switch source {
    case .host(let listing):
      guard listing.kind(index) == .regular, listing.linkCount(index) > 1 else { return nil }
      let identity = listing.identity(index)
      return TreeNode.HardLinkKey(device: identity.device, inode: identity.inode)
    case .nodes(let children): return children[index].node.hardLinkKey
    }
  }

  /// The node; of a regular file of the host with the attributes that were made known with its content.
  func node(_ index: Int) -> TreeNode {
    switch source {
    case .host(let listing):
      let value = capabilities.withLock { $0[index] }
      var node = TreeNode(
        listing.status(index), linkTarget: Array(listing.linkTarget(index)),
        xattrs: value.map { [TarEntry.ExtendedAttribute("security.capability", $0)] } ?? [])
      if owner == .zero {
        node.uid = 0
        node.gid = 0
      }
      return node
    case .nodes(let children): return children[index].node
    }
  }

  /// Adds the entry's record, of which directories are digested, to `out`: all that reaches an image but times, and the
  /// content's digest. The record of no entry is the beginning of another's.
  func appendRecord(_ index: Int, to out: inout [UInt8]) {
    let digest = content(index).digest
    switch source {
    case .host(let listing):
      let name = listing.name(index)
      let kind = listing.kind(index)
      guard owner == .zero, kind == .directory || kind == .regular, capabilities.withLock({ $0.isEmpty }) else {
        return ContentRecord(node(index), digest).append(to: &out, name: name)
      }
      // The hot path: most of what a context has.
      ContentRecord(kind, mode: listing.mode(index), size: listing.size(index), digest).append(to: &out, name: name)
    case .nodes(let children):
      children[index].name.withUnsafeBytes { name in
        ContentRecord(children[index].node, digest).append(to: &out, name: name)
      }
    }
  }

  /// The entry in words, without its name: `file 644 0:0 12 sha256:...`.
  func facts(_ index: Int) -> [UInt8] {
    let node = node(index)
    let isFile = node.kind == .regular
    let mode = String(node.kind == .symlink ? 0o777 : node.mode, radix: 8)
    var out = Array("\(node.kind.word) \(mode) \(node.uid):\(node.gid) \(isFile ? node.size : 0)".utf8)
    if isFile {
      out.append(contentsOf: node.size > ContentDigester.pieceSize ? " pieces:".utf8 : " sha256:".utf8)
      content(index).digest.appendDigits(to: &out)
    }
    if node.kind == .symlink {
      out.append(contentsOf: " sha256:".utf8)
      RawDigest(hashing: node.linkTarget).appendDigits(to: &out)
    }
    if node.kind == .characterDevice || node.kind == .blockDevice {
      out.append(contentsOf: " \(node.deviceMajor):\(node.deviceMinor)".utf8)
    }
    for xattr: TarEntry.ExtendedAttribute in node.xattrs {
      out.append(contentsOf: " \(xattr.name)=".utf8)
      RawDigest(hashing: xattr.value).appendDigits(to: &out)
    }
    return out
  }
}

/// One entry as it is digested.
struct ContentRecord {
  private let kind: TreeNode.Kind
  private let mode: UInt16
  private var uid: UInt32 = 0
  private var gid: UInt32 = 0
  private let size: Int64
  private var device: (UInt32, UInt32) = (0, 0)
  private var link: [UInt8] = []
  private var xattrs: [TarEntry.ExtendedAttribute] = []
  private let content: RawDigest

  /// A file or directory of root's without attributes.
  init(_ kind: TreeNode.Kind, mode: UInt16, size: Int64, _ content: RawDigest) {
    self.kind = kind
    self.mode = mode
    self.size = kind == .regular ? size : 0
    self.content = content
  }

  init(_ node: TreeNode, _ content: RawDigest) {
    self.init(node.kind, mode: node.kind == .symlink ? 0o777 : node.mode, size: node.size, content)
    uid = node.uid
    gid = node.gid
    device = (node.deviceMajor, node.deviceMinor)
    link = node.linkTarget
    xattrs = node.xattrs
  }

  func append(to out: inout [UInt8], name: UnsafeRawBufferPointer) {
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { out.append(contentsOf: $0) }
    }
    put(UInt16(name.count))
    out.append(contentsOf: name)
    let isPlain = uid == 0 && gid == 0 && device == (0, 0) && link.isEmpty && xattrs.isEmpty
    put(UInt16(kind.number) | (isPlain ? 0 : 1 << 8))
    put(mode)
    put(size)
    content.append(to: &out)
    if isPlain { return }
    put(uid)
    put(gid)
    put(device.0)
    put(device.1)
    put(UInt32(link.count))
    out.append(contentsOf: link)
    put(UInt32(xattrs.count))
    for xattr: TarEntry.ExtendedAttribute in xattrs {
      put(UInt32(xattr.name.utf8.count))
      out.append(contentsOf: xattr.name.utf8)
      RawDigest(hashing: xattr.value).append(to: &out)
    }
  }
}

extension TreeNode.Kind {
  /// The word for it in lists of contents.
  var word: String {
    switch self {
    case .regular: "file"
    case .directory: "directory"
    case .symlink: "symlink"
    case .characterDevice: "chardev"
    case .blockDevice: "blockdev"
    case .fifo: "fifo"
    case .socket: "socket"
    }
  }

  /// The kind in a content record.
  var number: UInt8 {
    switch self {
    case .regular: 1
    case .directory: 2
    case .symlink: 3
    case .characterDevice: 4
    case .blockDevice: 5
    case .fifo: 6
    case .socket: 7
    }
  }
}
