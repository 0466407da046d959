import Foundation
import Testing

/// The import table of docs/architecture.md: what each module's sources may import beside the standard
/// library (which includes Synchronization).
private let mayImport: [String: Set<String>] = [
  "Core": ["CCrypto"],
  "Dockerfile": ["Core"],
  "Graph": ["Core", "Dockerfile"],
  "Linux": ["Core", "CLinux", "Glibc"],
  "FileTree": ["Core", "Linux", "CArchive", "CZlib", "CZstd", "CISAL"],
  "Store": ["Core", "Linux", "FileTree", "GRDB"],
  "HTTP": ["Core", "Linux", "CCurl"],
  "Registry": ["Core", "Linux", "HTTP"],
  "Sandbox": ["Core", "Linux", "CSandbox", "CSeccomp"],
  "Builder": ["Core", "Linux", "Dockerfile", "Graph", "FileTree", "HTTP", "Registry", "Store", "Sandbox"],
  "Engine": [
    "Core", "Linux", "Dockerfile", "Graph", "FileTree", "HTTP", "Registry", "Store", "Sandbox", "Builder",
  ],
  "CLI": ["Core", "Linux", "Engine"],
  "stave": ["CLI", "Linux"],
]

private let root = URL(filePath: #filePath).resolvingSymlinksInPath()
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

private func swiftFiles(of module: String) -> [URL] {
  let folder = root.appending(path: "Sources/\(module)")
  let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
  return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
}

/// The modules named by the `import` lines of a source text.
private func imports(in text: String) -> [String] {
  text.split(separator: "\n").compactMap { line in
    var words = line.split(separator: " ")
    while let first = words.first,
      ["public", "internal", "private", "package", "fileprivate", "@testable"].contains(first)
        || first == "@preconcurrency"
    {
      words.removeFirst()
    }
    guard words.count >= 2, words[0] == "import" else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "var", "let", "typealias"]
    let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
    return name.split(separator: ".").first.map(String.init)
  }
}

@Suite struct HouseTests {
  @Test("a module imports only what its row of the table names", arguments: mayImport.keys.sorted())
  func importsFollowTheTable(module: String) throws {
    let files = swiftFiles(of: module)
    #expect(!files.isEmpty, "no sources in Sources/\(module)")
    for file in files {
      for name in imports(in: try String(contentsOf: file, encoding: .utf8)) {
        #expect(
          name == "Synchronization" || mayImport[module]!.contains(name), "\(file.lastPathComponent) imports \(name)")
      }
    }
  }

  @Test func everyFolderOfSourcesIsInTheTable() throws {
    let cModules: Set<String> = ["CLinux", "CSandbox", "Libs"]
    let folders = try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources").path)
    #expect(Set(folders).subtracting(cModules) == Set(mayImport.keys))
  }

  /// swift format does not look at comments.
  @Test func commentsHaveAtMost120Columns() throws {
    let files = FileManager.default.enumerator(at: root.appending(path: "Sources"), includingPropertiesForKeys: nil)
    let sources = (files?.allObjects as? [URL] ?? []).filter { ["swift", "c", "h"].contains($0.pathExtension) }
    #expect(sources.count > 100)
    for file in sources {
      let text = try String(contentsOf: file, encoding: .utf8)
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      where line.utf8.count > 120 && line.drop(while: { $0 == " " }).hasPrefix("//") {
        #expect(line.count <= 120, "\(file.lastPathComponent) line \(number + 1)")
      }
    }
  }

  @Test func importLinesAreRead() {
    #expect(
      imports(in: "public import Core\n@testable import Graph\nimport struct Linux.OpenFile") == [
        "Core", "Graph", "Linux",
      ])
  }
}
