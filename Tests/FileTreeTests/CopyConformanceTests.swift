import Core
import FileTree
import Foundation
import Linux
import Testing

/// Build cases of other projects that need nothing but COPY and ADD: the image's files must be those that Docker made.
/// Needs root: owners are set.
@Suite(.enabled(if: Machine.effectiveUserID == 0)) struct CopyConformanceTests {
  private struct Unsuitable: Error {}

  @Test(arguments: [
    "buildah-conformance.json", "buildah-bud.json", "imagebuilder.json", "kaniko.json", "moby-build.json",
  ])
  func filesAreThoseThatDockerMakes(file: String) throws {
    var count = 0
    for element in try conformanceCases(file) ?? [] {
      guard let steps = element["steps"]?.array, steps.count == 1 else { continue }
      let work = try SampleTree()
      let outcome: String
      do {
        outcome = try listing(build(steps[0], in: work))
      } catch is Unsuitable {
        continue
      } catch {
        outcome = "fails: \(error)"
      }
      count += 1
      let wanted = expectations(element)
      guard !wanted.isEmpty, !outdated.contains(element["id"]?.string ?? "") else { continue }
      let isRight = wanted.contains { $0 == outcome || ($0 == "fails" && outcome.hasPrefix("fails")) }
      #expect(isRight, "\(element["id"]?.string ?? "")\n\(outcome)\nbut\n\(wanted.joined(separator: "\nor\n"))")
    }
    if count > 0 { print("\(file): \(count) cases") }
  }

  /// Recorded with a BuildKit in which an exception with wildcards did not reach into ignored directories yet.
  private let outdated: Set<String> = [
    "dockerignore-exclude-deep-subdir-dot#2", "dockerignore-exclude-deep-subdir-star#2",
  ]

  // MARK: What should come out

  private func expectations(_ element: JSON) -> [String] {
    let oracles = element["buildkit_only"]?.bool == true ? ["buildkit"] : ["buildkit", "docker", "buildah-1.39"]
    let answers = oracles.compactMap { element["expected"]?[$0]?.array?.first }
    let good = answers.filter { $0["fails"]?.bool != true }
    if good.isEmpty {
      let isTooOld = answers.contains { answer in
        ["nknown flag", "nknown instruction", "parse error"].contains {
          answer["message"]?.string?.contains($0) == true
        }
      }
      return isTooOld || answers.isEmpty ? [] : ["fails"]
    }
    return good.map { answer in
      var out = ""
      for (path, facts) in (answer["files"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
        let kind = facts["type"]?.string ?? ""
        out += "\(path) \(kind)"
        if kind != "l" { out += " " + String(facts["mode"]?.int ?? 0, radix: 8) }
        out += " \(facts["uid"]?.int ?? 0):\(facts["gid"]?.int ?? 0)"
        if kind == "f" { out += " \(facts["sha256"]?.string ?? "")" }
        if kind == "l" { out += " \(facts["link"]?.string ?? "")" }
        out += "\n"
      }
      return out
    }
  }

  private func listing(_ tree: any TreeView) throws -> String {
    var lines: [(path: String, line: String)] = []
    func walk(_ path: TreePath) throws {
      for child in try tree.children(path) {
        let place = path.child(child.name)
        let node = child.node
        var line = place.text
        switch node.kind {
        case .directory: line += " d " + String(node.mode, radix: 8)
        case .symlink: line += " l"
        default: line += " f " + String(node.mode, radix: 8)
        }
        line += " \(node.uid):\(node.gid)"
        if node.kind == .regular { line += " " + Digest.sha256(try tree.open(place).readAll()).encoded }
        if node.kind == .symlink { line += " " + String(decoding: node.linkTarget, as: UTF8.self) }
        lines.append((place.text, line + "\n"))
        if node.kind == .directory { try walk(place) }
      }
    }
    try walk(.root)
    return lines.sorted { $0.path < $1.path }.map(\.line).joined()
  }

  // MARK: A builder of COPY and ADD

  private func build(_ step: JSON, in work: SampleTree) throws -> any TreeView {
    guard step["flags"]?.array?.isEmpty == true else { throw Unsuitable() }
    let context = work.path + "/context"
    try HostPath.makeDirectories(context)
    for item in step["context"]?.array ?? [] { try layOut(item, in: context) }
    let name = step["dockerfile"]?.string ?? ""
    let text =
      try step["dockerfile_text"]?.string ?? String(decoding: HostPath.read(context + "/" + name), as: UTF8.self)
    var ignore: IgnorePatterns?
    for candidate in [context + "/" + name + ".dockerignore", context + "/.dockerignore"] where ignore == nil {
      if try HostPath.status(candidate) != nil { ignore = try IgnorePatterns(IgnoreFile(HostPath.read(candidate))) }
    }
    let files = HostTree(try Directory(context), ignore: ignore)
    var stages: [(name: String, layers: [Directory])] = []
    for words in try instructions(text) {
      switch words[0].uppercased() {
      case "FROM":
        let name = words.count == 4 ? words[3].lowercased() : ""
        if let base = stages.first(where: { !$0.name.isEmpty && $0.name == words[1].lowercased() }) {
          stages.append((name, base.layers))
        } else {
          guard words[1] == "scratch" else { throw Unsuitable() }
          stages.append((name, []))
        }
      case "COPY", "ADD":
        guard !stages.isEmpty else { throw Unsuitable() }
        let selection = try self.selection(words, files, stages)
        let tree = MergedTree(trees: stages[stages.count - 1].layers)
        let plan = try selection.plan(onto: tree, created: Timestamp(seconds: 0), scratch: work.directory())
        let sink = MemorySink()
        let writer = TarWriter(sink)
        try plan.write(to: writer)
        _ = try writer.finish()
        let layer = work.path + "/layer-\(stages.count)-\(stages[stages.count - 1].layers.count)"
        try HostPath.makeDirectories(layer)
        try unpackLayer(MemorySource(sink.bytes), into: Directory(layer))
        stages[stages.count - 1].layers.insert(try Directory(layer), at: 0)
      case "MAINTAINER", "CMD", "LABEL", "ENTRYPOINT", "EXPOSE": continue
      default: throw Unsuitable()
      }
    }
    guard let last = stages.last, !last.layers.isEmpty else { throw Unsuitable() }
    return MergedTree(trees: last.layers)
  }

  private func instructions(_ text: String) throws -> [[String]] {
    guard !text.contains("$"), !text.contains("<<"), !text.lowercased().contains("escape=") else { throw Unsuitable() }
    let lines = text.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("#") }
    let joined = lines.joined(separator: "\n").replacingOccurrences(of: "\\\n", with: " ")
    return try joined.split(separator: "\n").compactMap { line in
      let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
      guard let first = words.first else { return nil }
      if ["COPY", "ADD"].contains(first.uppercased()), let bracket = line.firstIndex(of: "[") {
        if !line[..<bracket].split(separator: " ").dropFirst().allSatisfy({ $0.hasPrefix("--") }) { return words }
        guard let list = try? JSON.parse(String(line[bracket...])).array else { return words }
        return line[..<bracket].split(separator: " ").map(String.init) + list.map { $0.string ?? "" }
      }
      if words.contains(where: { $0.contains("\"") }) && first.uppercased() != "LABEL" { throw Unsuitable() }
      return words
    }
  }

  private func selection(
    _ words: [String], _ files: HostTree, _ stages: [(name: String, layers: [Directory])]
  ) throws -> CopySelection {
    var source: any TreeView = files
    var arguments = words.dropFirst()
    var copy = CopySelection(words[0].uppercased(), sources: [], destination: [])
    copy.unpacksArchives = copy.instruction == "ADD"
    let here = MergedTree(trees: stages[stages.count - 1].layers)
    while let flag = arguments.first, flag.hasPrefix("--") {
      arguments = arguments.dropFirst()
      let parts = flag.split(separator: "=", maxSplits: 1).map(String.init)
      switch (parts[0], parts.count > 1 ? parts[1] : "") {
      case ("--from", let name):
        guard let stage = stages.first(where: { $0.name == name.lowercased() }) ?? Int(name).map({ stages[$0] }) else {
          throw Unsuitable()
        }
        source = MergedTree(trees: stage.layers)
      case ("--chown", let owner): copy.owner = try UserLookup(in: here).owner(owner)
      case ("--chmod", let mode): copy.mode = try ModeChange(mode)
      case ("--exclude", let pattern): copy.excludes.append(pattern)
      case ("--parents", _): copy.keepsParents = true
      default: throw Unsuitable()
      }
    }
    guard arguments.count >= 2, !arguments.contains(where: { $0.contains("://") }) else { throw Unsuitable() }
    copy.sources = arguments.dropLast().map { .tree(source, pattern: Array($0.utf8)) }
    let last = arguments.last ?? ""
    copy.destination = Array((last == "." || last == "./" ? "/" : last.hasPrefix("/") ? last : "/" + last).utf8)
    return copy
  }

  private func layOut(_ item: JSON, in context: String) throws {
    let path = context + "/" + (item["path"]?.string ?? "")
    try HostPath.makeDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
    if let target = item["link"]?.string {
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
      return
    }
    if item["dir"] != nil {
      try HostPath.makeDirectories(path)
    } else if let text = item["text"]?.string {
      try HostPath.write(Array(text.utf8), to: path)
    } else if let data = item["base64"]?.string.flatMap({ Data(base64Encoded: $0) }) {
      try HostPath.write([UInt8](data), to: path)
    } else {
      throw Unsuitable()
    }
    if item["xattrs"] != nil { throw Unsuitable() }
    let file = try Directory(context)
    let place = TreePath(clamping: item["path"]?.string ?? "")
    try file.setOwner(place, uid: UInt32(item["uid"]?.int ?? 0), gid: UInt32(item["gid"]?.int ?? 0))
    if let mode = item["mode"]?.string { try file.setMode(place, UInt16(mode.dropFirst(2), radix: 8) ?? 0o644) }
  }
}
