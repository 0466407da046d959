import Core
import Dockerfile
import Testing

@Suite struct ConformanceTests {
  @Test func parserCases() throws {
    guard let cases = try Surroundings.cases("parser") else { return }
    for element in cases {
      let id = Comment(rawValue: element["id"]?.string ?? "")
      let text = element["dockerfile"]?.string ?? ""
      switch element["kind"]?.string {
      case "ast": #expect(DockerfileDebug.parse(element)["ast"] == element["result"], id)
      case "lines": #expect(DockerfileDebug.parse(element)["lines"] == element["lines"], id)
      case "heredocs":
        // The suite begins behind the first FROM.
        let found = DockerfileDebug.parse(element)["heredocs"]?.array ?? []
        #expect(.array(found.suffix(element["heredocs"]?.array?.count ?? 0)) == element["heredocs"], id)
      case "negative": #expect(DockerfileDebug.parse(element)["error"] != nil, id)
      case "json": #expect(DockerfileDebug.json(element)["words"] == element["words"], id)
      case "instruction-error":
        let failure = #expect(throws: Failure.self, id) { try document(text) }
        #expect(failure?.description.contains(element["error"]?.string ?? "?") == true, id)
        #expect(failure?.diagnostics.first?.excerpt != nil, id)
      case let kind: Issue.record("unknown kind \(kind ?? "none")")
      }
    }
  }

  @Test func wordCases() throws {
    guard let cases = try Surroundings.cases("words") else { return }
    for element in cases {
      let id = Comment(rawValue: element["id"]?.string ?? "")
      let answer = DockerfileDebug.expand(element)
      if element["error"]?.bool == true {
        #expect(answer["error"] != nil, id)
        if let part = element["error_contains"]?.string {
          #expect(answer["error"]?.string?.contains(part) == true, id)
        }
      } else {
        #expect(answer["value"] == element["expect"], id)
      }
    }
  }

  @Test func realDockerfiles() throws {
    guard let cases = try Surroundings.cases("realworld") else { return }
    var refused: [String] = []
    for element in cases {
      let id = element["id"]?.string ?? ""
      let text = element["dockerfile"]?.string ?? ""
      let expected = element["instructions"]?.array?.compactMap(\.string) ?? []
      let syntax = try DockerfileSyntax.parse(Array(text.utf8))
      #expect(syntax.nodes.map { $0.keyword.uppercased() } == expected, Comment(rawValue: id))
      // The suite holds templates too; what has only real instructions must be a Dockerfile.
      guard expected.allSatisfy(Instruction.names.contains) else { continue }
      do {
        let document = try document(text)
        #expect(document.instructions.map(\.name) == expected, Comment(rawValue: id))
      } catch {
        refused.append("\(id): \(error)")
      }
    }
    #expect(refused == [])
  }
}

/// The Dockerfile of `text`.
func document(_ text: String) throws -> DockerfileDocument {
  try DockerfileDocument.parse(Array(text.utf8), file: "Dockerfile")
}
