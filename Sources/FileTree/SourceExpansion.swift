internal import Core
internal import Linux

/// The paths that a source argument means in its tree.
struct SourceExpansion {
  let view: any TreeView
  /// The argument as bytes; slashes at its start and `..` don't leave the tree.
  let pattern: [UInt8]
  let instruction: String

  init(_ view: any TreeView, _ pattern: [UInt8], instruction: String) {
    self.view = view
    self.pattern = pattern
    self.instruction = instruction
  }

  /// The argument for messages.
  var shown: String { String(decoding: pattern, as: UTF8.self) }

  /// Without wildcards the one path, which must exist; with wildcards what they match, sorted, maybe nothing.
  func matches() throws -> [TreePath] {
    let clean = TreePath(clamping: pattern)
    guard PathPattern.hasWildcard(clean.bytes) else { return [try literal(clean)] }
    let parts = clean.components
    let start = parts.firstIndex { PathPattern.hasWildcard($0) } ?? 0
    let prefix = TreePath(clamping: Array(parts[..<start].joined(separator: [UInt8(ascii: "/")])))
    guard let place = try view.resolve(try literal(prefix)) else { throw try missing(prefix) }
    var found: [TreePath] = [place]
    for (number, part): (Int, ArraySlice<UInt8>) in parts[start...].enumerated() {
      let glob = try compiled(Array(part))
      let isLast = start + number == parts.count - 1
      var next: [TreePath] = []
      for directory: TreePath in found {
        guard try view.entry(directory)?.kind == .directory else { continue }
        for child: TreeChild in try view.children(directory) where glob.matches(child.name) {
          if isLast || child.node.kind == .directory { next.append(directory.child(child.name)) }
        }
      }
      found = next
    }
    return found
  }

  /// The place from which paths are kept (`/./` in the argument, else the root), and below it what matches, sorted.
  func matchesKeepingParents() throws -> (pivot: TreePath, matches: [TreePath]) {
    var before: ArraySlice<UInt8> = []
    var after = pattern[...]
    let mark = Array("/./".utf8)
    if let at = pattern.indices.first(where: { pattern[$0...].starts(with: mark) }) {
      before = pattern[..<at]
      after = pattern[(at + 3)...]
    }
    let prefix = TreePath(clamping: before)
    guard let pivot = try view.resolve(try literal(prefix)) else { throw try missing(prefix) }
    let rest = TreePath(clamping: after)
    guard PathPattern.hasWildcard(rest.bytes) else {
      let path = TreePath(clamping: PathPattern.unescaped(rest.bytes))
      guard try view.entry(pivot.appending(path)) != nil else { throw try missing(pivot.appending(path)) }
      return (pivot, [path])
    }
    let glob: Glob
    do {
      glob = try Glob(rest.bytes, dialect: .ignore)
    } catch let failure as Failure {
      throw failure.during("\(instruction) --parents \(shown)")
    }
    var out: [TreePath] = []
    try walk(.root, below: pivot, glob, &out)
    return (pivot, out)
  }

  private func walk(_ relative: TreePath, below pivot: TreePath, _ glob: Glob, _ out: inout [TreePath]) throws {
    for child: TreeChild in try view.children(pivot.appending(relative)) {
      let path = relative.child(child.name)
      let text = Glob.characters(path.bytes)
      if glob.matches(text) {
        out.append(path)
      } else if child.node.kind == .directory, glob.couldMatch(after: text + [Glob.slash]) {
        try walk(path, below: pivot, glob, &out)
      }
    }
  }

  /// The path that a pattern without wildcards names. A `\` may be part of a name that was not meant as a pattern.
  private func literal(_ path: TreePath) throws -> TreePath {
    let plain = TreePath(clamping: PathPattern.unescaped(path.bytes))
    if try view.resolve(plain, followLast: false) != nil { return plain }
    if plain != path, try view.resolve(path, followLast: false) != nil { return path }
    throw try missing(plain)
  }

  private func compiled(_ part: [UInt8]) throws -> PathPattern {
    do {
      return try PathPattern(part)
    } catch let failure as Failure {
      throw failure.during("\(instruction) \(shown)")
    }
  }

  /// The failure for `path`, which is not there: hidden, a link to nothing, or mistyped.
  func missing(_ path: TreePath) throws -> Failure {
    let action = "\(instruction) \(shown)"
    let reason = "no such file in \(view.label)"
    if let line = view.exclusion(path) {
      return Failure(action, reason, hint: "excluded by \(line.file) line \(line.number): \(line.pattern)")
    }
    // The first component that is missing decides what to suggest.
    var parent = TreePath.root
    for name: ArraySlice<UInt8> in path.components {
      if let node = try view.entry(parent.child(name)) {
        if node.kind == .symlink {
          let target = String(decoding: node.linkTarget, as: UTF8.self)
          if try view.resolve(parent.child(name)) == nil {
            return Failure(action, reason, hint: "\(parent.child(name).text) is a symbolic link to \(target)")
          }
          guard let place = try view.resolve(parent.child(name)) else { break }
          parent = place
        } else {
          parent = parent.child(name)
        }
        continue
      }
      guard try view.entry(parent)?.kind == .directory else {
        return Failure(action, reason, hint: "\(parent.text) is not a directory")
      }
      let names = try view.children(parent).map { String(decoding: $0.name, as: UTF8.self) }
      let near = nearest(String(decoding: name, as: UTF8.self), in: names)
      return Failure(action, reason, hint: near.map { "did you mean \(parent.child($0).text)?" })
    }
    return Failure(action, reason)
  }
}
