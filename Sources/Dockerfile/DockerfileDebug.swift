public import Core

/// The batch doors of `stave debug parse|expand|json`: one JSON element in, one out, no failure ever.
public enum DockerfileDebug {
  /// `{"dockerfile": text}` to `{"ast", "lines", "heredocs"}`, or `{"error": text}`: the lexical layer.
  public static func parse(_ element: JSON) -> JSON {
    guard let text = element["dockerfile"]?.string else { return error("no member \"dockerfile\"") }
    return answer {
      let syntax = try DockerfileSyntax.parse(Array(text.utf8))
      return [
        "ast": .string(syntax.dump),
        "lines": .array(syntax.nodes.map { .array([.int(Int64($0.range.first)), .int(Int64($0.range.last))]) }),
        "heredocs": .array(syntax.nodes.map { .array($0.heredocs.map(json)) }),
      ]
    }
  }

  /// `{"mode": "word" or "words", "input": text, "env": {..}}` to `{"value": ..}` or `{"error": text}`.
  public static func expand(_ element: JSON) -> JSON {
    guard let input = element["input"]?.string else { return error("no member \"input\"") }
    let environment = element["env"]?.object ?? [:]
    let expander = WordExpander()
    return answer {
      switch element["mode"]?.string {
      case nil, "word": return ["value": .string(try expander.expand(input) { environment[$0]?.string })]
      case "words": return ["value": .strings(try expander.expandWords(input) { environment[$0]?.string })]
      case let mode?: throw Failure("", "unknown mode \"\(mode)\"" + didYouMean(mode, in: ["word", "words"]))
      }
    }
  }

  /// `{"input": text}` to `{"words": [text, ..]}`, or `{"words": null}` where it is no JSON array of strings.
  public static func json(_ element: JSON) -> JSON {
    guard let input = element["input"]?.string else { return error("no member \"input\"") }
    let words = (try? parseJSONWords(input)) ?? nil
    return .object(["words": words.map { .strings($0) } ?? .null])
  }

  private static func json(_ heredoc: Heredoc) -> JSON {
    .object([
      "name": .string(heredoc.name), "content": .string(heredoc.content), "expand": .bool(heredoc.expand),
      "chomp": .bool(heredoc.chomp), "fd": .int(Int64(heredoc.fileDescriptor)),
    ])
  }

  private static func error(_ text: String) -> JSON { .object(["error": .string(text)]) }

  private static func answer(_ body: () throws -> [String: JSON]) -> JSON {
    do {
      return .object(try body())
    } catch {
      return self.error(String(describing: error))
    }
  }
}
