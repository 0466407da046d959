import Core
import FileTree
import Foundation
import Testing

/// A file of the shared conformance data beside the checkout; nil, told once, where there is none.
func conformanceCases(_ name: String) throws -> [JSON]? {
  let checkout = URL(filePath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  let file = checkout.deletingLastPathComponent().appending(path: "shared/conformance/\(name)")
  guard let data = try? Data(contentsOf: file) else {
    print("skipped: no conformance data \(name)")
    return nil
  }
  return try JSON.parse([UInt8](data))["cases"]?.array
}

@Suite struct IgnoreFileTests {
  private func path(_ text: String) -> TreePath { TreePath(clamping: text) }

  @Test func conformance() throws {
    for element in try conformanceCases("dockerignore.json") ?? [] {
      let answer = FileTreeDebug.ignore(element)
      let id = element["id"]?.string ?? ""
      if element["error"]?.bool == true {
        #expect(answer["error"] != nil, "\(id)")
      } else if let patterns = element["patterns"], element["content"] != nil {
        #expect(answer["patterns"] == patterns, "\(id)")
      } else {
        #expect(answer["match"] == element["match"], "\(id): \(answer.text)")
      }
    }
  }

  @Test func linesAreCleaned() throws {
    let file = try IgnoreFile(
      "\u{FEFF}test1\n/test2\r\n/a/file//here/\n\n  lastfile \n# comment\n #kept\n! /inv/./abs\n!\n! \n/\n")
    #expect(
      file.lines.map(\.pattern) == ["test1", "test2", "a/file/here", "lastfile", "#kept", "!inv/abs", "!", "!", "/"])
    #expect(file.lines.map(\.number) == [1, 2, 3, 5, 7, 8, 9, 10, 11])
    #expect(FileTreeDebug.ignore(.object(["content": "a\n!\n"])) == .object(["patterns": .strings(["a", "!"])]))
  }

  @Test func aBareExclamationMarkIsRefused() throws {
    #expect(throws: Failure("read .dockerignore line 2: !", "illegal exclusion pattern: \"!\"")) {
      try IgnorePatterns(IgnoreFile("a\n!\n"))
    }
    #expect(throws: Failure("read x.dockerignore line 1: a[", "syntax error in pattern")) {
      try IgnorePatterns(IgnoreFile("a[\n", name: "x.dockerignore"))
    }
  }

  @Test func theLastMatchDecidesAndIsNamed() throws {
    let patterns = try IgnorePatterns(IgnoreFile("# c\n*.o\n!keep.o\nbuild\n!build/out/**\nbuild/out/tmp\n"))
    #expect(patterns.explain(path("a.o")) == IgnoreLine(number: 2, pattern: "*.o", file: ".dockerignore"))
    #expect(patterns.explain(path("keep.o")) == nil)
    #expect(!patterns.matches(path("sub/a.o")))
    #expect(patterns.explain(path("build/x/y"))?.number == 4)
    #expect(!patterns.matches(path("build/out/x")))
    #expect(patterns.explain(path("build/out/tmp/x"))?.number == 6)
    #expect(!patterns.matches(.root))
    #expect(patterns.couldContainExceptions(path("build")))
    #expect(patterns.couldContainExceptions(path("build/out/a/b")))
    #expect(!patterns.couldContainExceptions(path("build/x")))
    #expect(!patterns.couldContainExceptions(path("node_modules")))
    #expect(try !IgnorePatterns(patterns: ["a"]).couldContainExceptions(path("a")))
    #expect(try IgnorePatterns(patterns: ["*", "!**/x.go"]).couldContainExceptions(path("a/b")))
  }

  @Test func doubleStarsReachAnyDepth() throws {
    func matches(_ pattern: String, _ text: String) throws -> Bool {
      try IgnorePatterns(patterns: [pattern]).matches(path(text))
    }
    #expect(try matches("**/*.tmp", "x.tmp") && matches("**/*.tmp", "a/b/x.tmp"))
    #expect(try matches("a/**/z", "a/z") && matches("a/**/z", "a/b/c/z") && !matches("a/**/z", "az"))
    #expect(try matches("**z", "a/bz") && matches("**z?", "a/zz") && !matches("**z?", "a/bzz"))
    #expect(try !matches("a/**", "a") && matches("a/**", "a/b"))
    #expect(try matches("a?c", "aéc") && !matches("a?c", "a/c"))
    #expect(try matches("naïve", "naïve/x"))
  }

  @Test func hostilePatternsTakeNoTime() throws {
    let patterns = try IgnorePatterns(patterns: [String(repeating: "*a", count: 500) + "b"])
    #expect(!patterns.matches(path(String(repeating: "a", count: 4000))))
  }
}
