public import Core
internal import Dockerfile

/// The batch door of `stave debug plan`: one JSON element in, one out, no failure ever.
public enum GraphDebug {
  /// `{"dockerfile": text, "target": text or null, "build_args": {..}}` to `{"stages": n, "instructions": [name, ..]}`
  /// or `{"error": text}`: parsed and lowered, base images not resolved. An element that splits into instructions but
  /// can't be built has their names beside the error, as the syntax alone says them.
  public static func plan(_ element: JSON) -> JSON {
    guard let text = element["dockerfile"]?.string else {
      return .object(["error": "no member \"dockerfile\""])
    }
    let given = element["build_args"]?.object ?? [:]
    let args = given.keys.sorted().map { LoweringOptions.BuildArg($0, given[$0]?.string) }
    let options = LoweringOptions(target: element["target"]?.string, buildArgs: args, mode: .planOnly)
    do {
      let document = try DockerfileDocument.parse(Array(text.utf8), file: "Dockerfile")
      guard case .plan(let plan) = try lower(document, options) else {
        return .object(["error": "base images are not resolved"])
      }
      return .object([
        "stages": .int(Int64(plan.stageCount)), "instructions": .strings(plan.instructionNames),
      ])
    } catch let error as Failure {
      return refusal(error.description, text)
    } catch {
      return refusal("\(error)", text)
    }
  }

  private static func refusal(_ reason: String, _ text: String) -> JSON {
    let syntax = try? DockerfileSyntax.parse(Array(text.utf8))
    return JSON.members([
      "error": .string(reason), "instructions": syntax.map { .strings($0.nodes.map { $0.keyword.uppercased() }) },
    ])
  }
}
