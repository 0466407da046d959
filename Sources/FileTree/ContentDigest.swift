public import Core
internal import Linux

/// The content of a set of files as one digest, with the list of what it is made of: what a cache key is, and why.
///
/// Modification times don't count; everything else that reaches an image does.
public struct ContentDigest: Sendable {
  public let digest: Digest
  /// What was digested; made into text only when it is asked for.
  public let list: ContentList
}

/// The files behind a content digest, for people.
public struct ContentList: Sendable {
  /// What one source gave.
  struct Part: Sendable {
    /// The selected entries, each in a listing of its own, and their places.
    var roots: [(TreeListing, TreePath)]
    /// The directories below, by place.
    var listed: [TreePath: TreeListing]
    /// What stands before the paths: a slash, or a directory for each of several trees.
    var prefix: [UInt8] = [UInt8(ascii: "/")]
  }

  let parts: [Part]

  /// Calls `body` with the path and the facts (`file 644 0:0 12 sha256:...`) of each file, a directory before what is
  /// in it; returns how many directories are not listed, since there are too many files.
  @discardableResult
  public func forEach(_ body: (_ path: [UInt8], _ facts: [UInt8]) -> Void) -> Int {
    var missing = 0
    for part: Part in parts {
      for (listing, place): (TreeListing, TreePath) in part.roots {
        ContentList.walk(listing, part.prefix, place, isRoot: true, part, &missing, body)
      }
    }
    return missing
  }

  private static func walk(
    _ listing: TreeListing, _ prefix: [UInt8], _ place: TreePath, isRoot: Bool, _ part: Part, _ missing: inout Int,
    _ body: ([UInt8], [UInt8]) -> Void
  ) {
    for index in 0..<listing.count where listing.kind(index) != .socket {
      let path = prefix + listing.name(index)
      // The root of a tree is selected as nothing below the prefix.
      if path.count > part.prefix.count { body(path, listing.facts(index)) }
      guard listing.kind(index) == .directory else { continue }
      let inner = isRoot ? place : place.child(listing.name(index))
      guard let below = part.listed[inner] else {
        missing += 1
        continue
      }
      let next = path.last == UInt8(ascii: "/") ? path : path + [UInt8(ascii: "/")]
      walk(below, next, inner, isRoot: false, part, &missing, body)
    }
  }

  /// A JSON array of `[path, facts]`; where files are not listed, how many directories of them, as the last element.
  public var json: [UInt8] {
    var out: [UInt8] = [UInt8(ascii: "[")]
    func text(_ bytes: [UInt8]) {
      if bytes.allSatisfy({ $0 >= 32 && $0 < 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
        out.append(UInt8(ascii: "\""))
        out.append(contentsOf: bytes)
        out.append(UInt8(ascii: "\""))
      } else {
        out.append(contentsOf: JSON.string(String(decoding: bytes, as: UTF8.self)).bytes)
      }
    }
    let missing = forEach { path, facts in
      out.append(contentsOf: out.count > 1 ? ",[".utf8 : "[".utf8)
      text(path)
      out.append(UInt8(ascii: ","))
      text(facts)
      out.append(UInt8(ascii: "]"))
    }
    if missing > 0 { out.append(contentsOf: "\(out.count > 1 ? "," : "")\"and \(missing) directories more\"".utf8) }
    out.append(UInt8(ascii: "]"))
    return out
  }
}

extension CopySelection {
  /// The digest of what the sources select, known before the destination's tree exists: names, kinds, modes and
  /// contents. Archives count as files, owners as they are; `destination`, `owner` and `mode` belong to the key of the
  /// instruction itself.
  ///
  /// Files that `index` knows are not read, others are on up to `width` threads, and small ones kept in `store` where
  /// there is room. Blocks; throws `CancellationError` in a cancelled task.
  public func sourceDigest(
    _ index: ContextIndex? = nil, keeping store: ContentStore? = nil, width: Int = 1
  ) throws -> ContentDigest {
    let excluded: IgnorePatterns
    do {
      excluded = try IgnorePatterns(patterns: excludes)
    } catch let failure as Failure {
      throw failure.during("\(instruction) --exclude")
    }
    var labels: [String] = []
    for source: Source in sources {
      if case .tree(let view, _) = source, !labels.contains(view.label) { labels.append(view.label) }
    }
    var hasher = SHA256Hasher()
    hasher.update("stave content v2\n")
    var parts: [ContentList.Part] = []
    for (number, source): (Int, Source) in sources.enumerated() {
      var part: ContentList.Part
      let tree: String
      switch source {
      case .bytes(let bytes, let name):
        tree = "heredoc-\(number)/"
        hasher.update("source \(tree)\n")
        part = try CopySelection.digest(bytes, name, into: &hasher)
      case .tree(let view, let pattern):
        tree = labels.count == 1 ? "" : "tree-\(labels.firstIndex(of: view.label) ?? 0)/"
        hasher.update("source \(tree)\n")
        let (view, selected) = try selected(from: view, pattern, excluded)
        part = try ContentDigester(view, index: index, store: store, width: width).digest(selected, into: &hasher)
      }
      part.prefix = Array("/\(tree)".utf8)
      parts.append(part)
    }
    return ContentDigest(digest: hasher.digest(), list: ContentList(parts: parts))
  }

  private static func digest(
    _ bytes: [UInt8], _ name: String, into hasher: inout SHA256Hasher
  ) throws -> ContentList.Part {
    let node = TreeNode(kind: .regular, mode: 0o644, size: Int64(bytes.count))
    let listing = TreeListing([TreeChild(name: Array(name.utf8), node: node)])
    listing.setContent(0, TreeListing.Content(digest: RawDigest(hashing: bytes), isKnown: true))
    var record: [UInt8] = []
    listing.appendRecord(0, to: &record)
    hasher.update(record)
    return ContentList.Part(roots: [(listing, TreePath.root)], listed: [:])
  }

  /// What one source takes from its view, and the view without what is excluded.
  private func selected(
    from view: any TreeView, _ pattern: [UInt8], _ excluded: IgnorePatterns
  ) throws -> (any TreeView, [ContentDigester.Selected]) {
    let expansion = SourceExpansion(view, pattern, instruction: instruction)
    var out: [ContentDigester.Selected] = []
    if keepsParents {
      let (pivot, matches) = try expansion.matchesKeepingParents()
      let filtered: any TreeView = excluded.isEmpty ? view : FilteredTree(view, below: pivot, excluded)
      for relative: TreePath in matches {
        let place = pivot.appending(relative)
        guard let node = try filtered.entry(place) else { continue }
        var at = TreePath.root
        for name: ArraySlice<UInt8> in relative.components.dropLast() {
          at = at.child(name)
          guard let parent = try view.entry(pivot.appending(at)) else { continue }
          // The directory alone: its mode and owner are repeated.
          var alone = parent
          alone.kind = .fifo
          out.append(ContentDigester.Selected(name: at.bytes, place: pivot.appending(at), node: alone))
        }
        out.append(ContentDigester.Selected(name: relative.bytes, place: place, node: node))
      }
      return (filtered, out)
    }
    var hidden: (any TreeView)?
    for path: TreePath in try expansion.matches() {
      guard let place = try view.resolve(path), let node = try view.entry(place) else {
        throw try expansion.missing(path)
      }
      if node.kind != .directory, !path.isRoot, excluded.matches(TreePath.root.child(path.name)) { continue }
      if node.kind == .directory, !excluded.isEmpty {
        // Patterns are relative to each source: with one source there is one place.
        hidden = FilteredTree(hidden ?? view, below: place, excluded)
      }
      out.append(ContentDigester.Selected(name: path.bytes, place: place, node: node))
    }
    return (hidden ?? view, out)
  }
}
