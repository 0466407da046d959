import Core
import Dockerfile
import Foundation
import Testing

/// One case a folder in `testdata/dockerfile`: `Dockerfile` and the tree or the error in `result`. With
/// `STAVE_RECORD_GOLDENS=1` in the environment the results are written instead.
@Suite struct GoldenTests {
  @Test func goldens() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Surroundings.goldens.path).sorted()
    #expect(!folders.isEmpty)
    for folder in folders {
      let place = Surroundings.goldens.appendingPathComponent(folder)
      let bytes = [UInt8](try Data(contentsOf: place.appendingPathComponent("Dockerfile")))
      let result = place.appendingPathComponent("result")
      let text = GoldenTests.report(bytes)
      if ProcessInfo.processInfo.environment["STAVE_RECORD_GOLDENS"] == "1" {
        try text.write(to: result, atomically: true, encoding: .utf8)
      }
      #expect(try String(contentsOf: result, encoding: .utf8) == text, Comment(rawValue: folder))
    }
  }

  /// The tree with the lines and here-documents of each instruction, then the warnings or the error.
  private static func report(_ bytes: [UInt8]) -> String {
    var out = ""
    do {
      let syntax = try DockerfileSyntax.parse(bytes)
      for (node, line) in zip(syntax.nodes, syntax.dump.split(separator: "\n")) {
        out += "\(node.range): \(line)\n"
        for heredoc in node.heredocs { out += "  <<\(heredoc.name) \(String(reflecting: heredoc.content))\n" }
      }
      let document = try DockerfileDocument.parse(bytes, file: "Dockerfile")
      for diagnostic in document.diagnostics { out += "warning: \(diagnostic.message)\n" }
    } catch {
      out += "error: \(error)\n"
    }
    return out
  }
}
