import Core
import FileTree
import Linux
import Testing

/// What is compared of a tree, by path.
struct TreeSnapshot {
  struct Node: Equatable, CustomStringConvertible {
    var kind: FileStatus.Kind
    var mode: UInt16
    var uid: UInt32
    var gid: UInt32
    var size: Int64
    var mtime: Timestamp
    var links: UInt64
    var device: [UInt32]
    var target: String
    var xattrs: [String]
    var content: String
    /// The first path of the same file.
    var first: String

    var description: String {
      """
      \(kind) \(String(mode, radix: 8)) \(uid):\(gid) \(size) bytes \(mtime) links \(links) dev \(device) -> \(target) \
      \(xattrs) \(content.prefix(8)) as \(first)
      """
    }
  }

  var nodes: [String: Node] = [:]

  /// Everything below `root`, names as hexadecimal where they are not UTF-8.
  init(_ root: String) throws {
    var firsts: [UInt64: String] = [:]
    try add(try Directory(root), .root, &firsts)
  }

  private mutating func add(_ directory: Directory, _ path: TreePath, _ firsts: inout [UInt64: String]) throws {
    nodes[key(path)] = try node(directory, .root, path, try directory.file.status(), &firsts)
    for name in try directory.entries() {
      let inner = TreePath.root.child(name)
      let status = try directory.entryStatus(name)
      if status.kind == .directory {
        try add(try directory.directory(inner), path.child(name), &firsts)
      } else {
        nodes[key(path.child(name))] = try node(directory, inner, path.child(name), status, &firsts)
      }
    }
  }

  private func key(_ path: TreePath) -> String {
    String(validating: path.bytes, as: UTF8.self) ?? "hex " + path.bytes.map { String($0, radix: 16) }.joined()
  }

  private func node(
    _ directory: Directory, _ name: TreePath, _ path: TreePath, _ status: FileStatus, _ firsts: inout [UInt64: String]
  ) throws -> Node {
    let isDirectory = status.kind == .directory
    let first = firsts[status.inode] ?? key(path)
    firsts[status.inode] = first
    var content = ""
    if status.kind == .regular { content = try digest(directory.open(name)) }
    let isDevice = status.kind == .characterDevice || status.kind == .blockDevice
    return Node(
      kind: status.kind, mode: status.mode, uid: status.uid, gid: status.gid, size: isDirectory ? 0 : status.size,
      mtime: status.mtime, links: status.linkCount, device: isDevice ? [status.deviceMajor, status.deviceMinor] : [],
      target: status.kind == .symlink ? "\(try directory.readLink(name))" : "",
      // Unpacking looks at the layers below instead.
      xattrs: try directory.attributeNames(name).filter { $0 != "trusted.overlay.implied" }.map {
        "\($0)=\(try directory.attribute(name, $0) ?? [])"
      },
      content: content, first: first)
  }

  /// The digest of the data; long holes are passed over.
  private func digest(_ file: OpenFile) throws -> String {
    var hasher = SHA256Hasher()
    let source = FileSource(file)
    let sink = ClosureSink { hasher.update($0) }
    try source.copy(to: sink)
    return hasher.digest().text
  }

  /// The differences between two trees as lines, at most ten.
  func differences(from other: TreeSnapshot) -> [String] {
    Set(nodes.keys).union(other.nodes.keys).sorted().filter { nodes[$0] != other.nodes[$0] }.prefix(10).map {
      "\($0):\n  \(nodes[$0].map { "\($0)" } ?? "missing")\n  \(other.nodes[$0].map { "\($0)" } ?? "missing")"
    }
  }
}

/// An index and its tars as files in a directory of its own.
final class IndexFiles {
  let folder: String
  let index: String
  var tars: [String] = []
  let bytes: [UInt8]

  /// The index of `tree` beside `tars`.
  init(_ tree: IndexTree, _ contents: [[UInt8]]) throws {
    folder = try temporaryDirectory()
    index = folder + "/index"
    let sink = MemorySink()
    try ErofsWriter.write(tree, devices: contents.map { Int64($0.count) }, into: sink)
    bytes = sink.bytes
    try HostPath.write(bytes, to: index)
    for (i, content) in contents.enumerated() {
      tars.append(folder + "/tar\(i)")
      try HostPath.write(content, to: tars[i])
    }
  }

  /// The index of the layer `tar`.
  convenience init(layer tar: [UInt8]) throws {
    try self.init(indexTree(tar), [tar])
  }

  deinit { try? HostPath.removeTree(folder) }

  /// What the kernel shows of it.
  func mounted() throws -> TreeSnapshot {
    let mount = try ErofsMount.open(index: index, devices: tars)
    return try withExtendedLifetime(mount) { try TreeSnapshot("/proc/self/fd/\(mount.descriptor)") }
  }

  /// Has erofs-utils look at it, where they are installed and know blocks of 512 bytes: since 1.6.
  func checkWithTools() throws {
    for (tool, options) in [("fsck.erofs", ["--extract"]), ("dump.erofs", ["-s", "-S"])] {
      guard let program = which(tool), try isRecent(program) else { continue }
      let output = try run([program] + options + tars.map { "--device=\($0)" } + [index])
      #expect(!String(decoding: output, as: UTF8.self).lowercased().contains("corrupt"))
    }
  }

  private func isRecent(_ program: String) throws -> Bool {
    let version = String(decoding: try run([program, "-V"]), as: UTF8.self)
    let numbers = version.split(separator: " ").last?.split(separator: ".").compactMap {
      Int($0.prefix { $0.isNumber })
    }
    return numbers.map { $0.count > 1 && ($0[0], $0[1]) >= (1, 6) } ?? false
  }
}

/// The tree of the layer `tar`.
func indexTree(_ tar: [UInt8]) throws -> IndexTree {
  let builder = LayerIndexBuilder()
  let reader = TarReader(MemorySource(tar))
  while let member = try reader.next() { try builder.add(member) }
  try reader.drain()
  return try builder.finish(tarSize: reader.position)
}

/// Checks the index of the layer `tar`: mounted it is like the layer unpacked by us and like what GNU tar unpacks, after
/// the layer rules. `byTar: false` where GNU tar does otherwise than a layer wants.
func checkIndex(_ tar: [UInt8], byTar: Bool = true, sourceLocation: SourceLocation = #_sourceLocation) throws {
  let files = try IndexFiles(layer: tar)
  let mounted = try files.mounted()
  let unpacked = files.folder + "/unpacked"
  try HostPath.makeDirectories(unpacked)
  try unpackLayer(MemorySource(tar), into: try Directory(unpacked))
  let byUs = try levelled(mounted, tar).differences(from: levelled(TreeSnapshot(unpacked), tar))
  #expect(byUs == [], "unpackLayer", sourceLocation: sourceLocation)
  try files.checkWithTools()
  guard byTar, let program = which("tar") else { return }
  let byGNU = files.folder + "/gnu"
  try HostPath.makeDirectories(byGNU)
  try run(
    [
      program, "--xattrs", "--xattrs-include=*", "--xattrs-exclude=*.overlay.*", "--numeric-owner", "-pxf",
      files.tars[0], "-C", byGNU,
    ])
  try applyLayerRules(byGNU)
  let byTar = try levelled(mounted, tar).differences(from: levelled(TreeSnapshot(byGNU), tar))
  #expect(byTar == [], "tar x", sourceLocation: sourceLocation)
}

/// `tree` without what unpacking makes by itself: the times and owners of whiteouts, the root, parents without a member.
private func levelled(_ tree: TreeSnapshot, _ tar: [UInt8]) throws -> TreeSnapshot {
  var tree = tree
  let members = Set(try members(tar).map(\.0.entry.path.text))
  for (path, node) in tree.nodes {
    tree.nodes[path]?.xattrs.removeAll { $0.hasPrefix("trusted.overlay.implied=") }
    if node.kind == .characterDevice, node.device == [0, 0] { tree.nodes[path]?.mtime = Timestamp(seconds: 0) }
    if node.kind == .directory, !members.contains(path) {
      tree.nodes[path]?.mtime = Timestamp(seconds: 0)
      tree.nodes[path]?.mode = 0o755
    }
  }
  return tree
}

/// Turns the whiteouts that GNU tar unpacked as files into overlayfs' form.
private func applyLayerRules(_ root: String) throws {
  let directory = try Directory(root)
  for name in try directory.entries() {
    let path = TreePath.root.child(name)
    if try directory.status(path)?.kind == .directory { try applyLayerRules("\(root)/\(path.text)") }
  }
  let opaque = ("trusted.overlay.opaque", [UInt8(ascii: "y")])
  let time = try directory.file.status().mtime
  for name in try directory.entries() where name.starts(with: ".wh.".utf8) {
    try directory.removeTree(TreePath.root.child(name))
    if name == Array(".wh..wh..opq".utf8) {
      try directory.file.setAttribute(opaque.0, opaque.1)
    } else if !name.starts(with: ".wh..wh.".utf8) {
      let hidden = TreePath.root.child(name.dropFirst(4))
      switch try directory.status(hidden)?.kind {
      case .directory?: try directory.setAttribute(hidden, opaque.0, opaque.1)
      case nil: try directory.makeNode(hidden, kind: .characterDevice, mode: 0)
      default: break
      }
    }
  }
  try directory.file.setModified(time)
}
