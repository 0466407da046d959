import Core
import FileTree
import Linux

/// Random layers for tests of what merges them: the same for the same seed.
struct LayerStacks {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  /// The next number below `limit` (xorshift64).
  mutating func next(_ limit: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state % UInt64(limit))
  }

  private let names: [[UInt8]] = [
    Array("a".utf8), Array("b".utf8), Array("c.txt".utf8), [0xff, 0xfe], Array("zz".utf8), Array("-".utf8),
  ]

  /// The bytes of a layer's tar of up to `count` members: files, directories, links, devices, whiteouts and opaque
  /// marks, which replace each other. Each directory that holds something has a member of its own.
  mutating func layer(_ count: Int = 24) throws -> [UInt8] {
    var entries: [(TarEntry, [UInt8])] = []
    // What the layer holds so far; nil for a whiteout.
    var model: [TreePath: TarEntry.Kind?] = [:]
    for number in 0..<count {
      let folders = [TreePath.root] + model.filter { $0.value == .directory }.map(\.key).sorted()
      let parent = folders[next(folders.count)]
      if parent.components.count > 3 { continue }
      let path = parent.child(names[next(names.count)])
      var entry = TarEntry(
        path: path, kind: .regular, mode: UInt16([0o644, 0o600, 0o4755, 0][next(4)]), uid: UInt32(next(3)),
        gid: UInt32(next(3)) * 1000,
        mtime: Timestamp(seconds: Int64(next(2_000_000)) - 1_000_000, nanoseconds: Int32(next(1_000_000_000))))
      var data: [UInt8] = []
      let taken = model[path]
      switch next(12) {
      case 0..<3:
        data = [UInt8]((0..<next(1400)).map { UInt8(truncatingIfNeeded: $0 &+ number) })
        entry.size = Int64(data.count)
        if next(4) == 0 {
          let capability: [UInt8] = [1, 0, 0, 2] + [0, UInt8(4 + next(2)), 0, 0] + [UInt8](repeating: 0, count: 12)
          entry.xattrs = [TarEntry.ExtendedAttribute("security.capability", capability)]
        }
      case 3..<7:
        entry.kind = .directory
        entry.mode = UInt16([0o755, 0o700, 0o1777][next(3)])
      case 7:
        entry.kind = .symlink
        entry.mode = 0o777
        entry.linkTarget = [Array("a/b".utf8), Array("/zz".utf8), [0xff]][next(3)]
      case 8:
        let files = model.filter { $0.value == .regular && $0.key != path && !$0.key.isWithin(path) }.map(\.key)
          .sorted()
        if files.isEmpty { continue }
        entry.kind = .hardLink
        entry.linkTarget = files[next(files.count)].bytes
      case 9:
        entry.kind = .characterDevice
        entry.deviceMajor = 1
        entry.deviceMinor = 3
      case 10:
        // Beside what the layer has itself, only a directory's whiteout means something.
        if let taken, taken != .directory { continue }
        entry = TarEntry(path: parent.child(Array(".wh.".utf8) + path.name), kind: .regular, mode: 0)
        if taken == nil { model[path] = .some(nil) }
        entries.append((entry, []))
        continue
      default:
        if parent.isRoot { continue }
        entries.append((TarEntry(path: parent.child(".wh..wh..opq"), kind: .regular, mode: 0), []))
        continue
      }
      if entry.kind != .directory || taken != .directory {
        for below in model.keys where below.isWithin(path) { model[below] = nil }
      }
      model[path] = entry.kind == .hardLink ? .regular : entry.kind
      entries.append((entry, data))
    }
    return try archive(entries).bytes
  }
}

/// Everything that a tree shows, a line a node, data and hard links included.
func listing(_ tree: any TreeView) throws -> [String] {
  var out: [String] = []
  var names: [TreeNode.HardLinkKey: [TreePath]] = [:]
  var pending = [TreePath.root]
  while let folder = pending.popLast() {
    for child in try tree.children(folder) {
      let path = folder.child(child.name)
      let node = child.node
      var line = "\(path.bytes) \(node.kind) \(String(node.mode, radix: 8)) \(node.uid):\(node.gid) \(node.size) "
      line +=
        "\(node.mtime.seconds).\(node.mtime.nanoseconds) \(node.deviceMajor):\(node.deviceMinor) \(node.linkTarget) "
      line += "\(node.xattrs)"
      if node.kind == .regular { line += " \(Digest.sha256(try tree.open(path).readAll()).short)" }
      if let found = try tree.entry(path) {
        var (one, other) = (found, node)
        (one.contentKey, other.contentKey) = (nil, nil)
        if one != other { line += " but by itself \(found)" }
      } else {
        line += " but not by itself"
      }
      out.append(line)
      if let key = node.hardLinkKey { names[key, default: []].append(path) }
      if node.kind == .directory { pending.append(path) }
    }
  }
  out += names.values.filter { $0.count > 1 }.map {
    "same file: \($0.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) })"
  }
  return out.sorted()
}

/// A directory with layers as files: `0/tar`, `0/index`, `0/tree`, ...
final class LayerFolder {
  let path: String
  private(set) var count = 0

  init() throws { path = try temporaryDirectory() }
  deinit { try? HostPath.removeTree(path) }

  /// Adds a layer with its index, and as root, if it `unpacks`, its tree; returns its number.
  @discardableResult
  func add(_ tar: [UInt8], unpacks: Bool = true) throws -> Int {
    let folder = "\(path)/\(count)"
    try HostPath.makeDirectories(folder)
    try HostPath.write(tar, to: "\(folder)/tar")
    try write(indexTree(tar), devices: [Int64(tar.count)], to: "\(folder)/index")
    if unpacks, Machine.effectiveUserID == 0 {
      try HostPath.makeDirectories("\(folder)/tree")
      try unpackLayer(MemorySource(tar), into: Directory("\(folder)/tree"))
    }
    count += 1
    return count - 1
  }

  func write(_ tree: IndexTree, devices: [Int64], to file: String) throws {
    let sink = MemorySink()
    try ErofsWriter.write(tree, devices: devices, into: sink)
    try HostPath.write(sink.bytes, to: file)
  }

  func index(_ number: Int) throws -> IndexLayer {
    try IndexLayer(LayerIndex(path: "\(path)/\(number)/index"), tars: ["\(path)/\(number)/tar"])
  }

  func tree(_ number: Int) throws -> TreeLayer { TreeLayer(try Directory("\(path)/\(number)/tree")) }

  /// The merged index of `layers`, top first, written and opened again.
  func merged(_ layers: [Int], isBottom: Bool = true, _ name: String = "merged") throws -> IndexLayer {
    let parts = try layers.map { try index($0) }
    let tree = try mergedIndex(of: parts, isBottom: isBottom)
    try write(tree, devices: parts.reversed().flatMap { $0.index.devices }, to: "\(path)/\(name)")
    return try IndexLayer(
      LayerIndex(path: "\(path)/\(name)"), tars: layers.reversed().map { "\(path)/\($0)/tar" })
  }

  /// Calls `body` with the directory where an overlay of `lowers`, top first, is mounted.
  func withOverlay(_ lowers: [String], _ body: (Directory) throws -> Void) throws {
    let empty = "\(path)/empty"
    let place = "\(path)/mounted"
    for folder in [empty, place] { try HostPath.makeDirectories(folder) }
    let options =
      "lowerdir=\((lowers + [empty]).joined(separator: ":")),redirect_dir=nofollow,metacopy=off,index=off,xino=off"
    try run(["/bin/mount", "-t", "overlay", "overlay", "-o", options, place])
    defer { _ = try? run(["/bin/umount", place]) }
    try body(try Directory(place))
  }
}
