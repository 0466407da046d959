import Core
import Dockerfile
import Foundation
import Graph
import Testing

/// One case a folder in `testdata/graph`: `Dockerfile`, perhaps `options.json` (`target`, `build_args`, `images` with
/// their `config`; other images have an empty one), and the plan's text or the error in `plan`. With
/// `STAVE_RECORD_GOLDENS=1` in the environment the plans are written instead.
@Suite struct GraphGoldenTests {
  private static let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("testdata/graph")

  @Test func goldens() throws {
    let cases = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    #expect(!cases.isEmpty)
    for name in cases {
      let place = Self.folder.appendingPathComponent(name)
      let text = try String(contentsOf: place.appendingPathComponent("Dockerfile"), encoding: .utf8)
      let json = try? String(contentsOf: place.appendingPathComponent("options.json"), encoding: .utf8)
      let report = try Self.report(text, json.map { try JSON.parse($0) } ?? .object([:]))
      let plan = place.appendingPathComponent("plan")
      if ProcessInfo.processInfo.environment["STAVE_RECORD_GOLDENS"] == "1" {
        try report.write(to: plan, atomically: true, encoding: .utf8)
      }
      #expect(try String(contentsOf: plan, encoding: .utf8) == report, Comment(rawValue: name))
    }
  }

  private static func report(_ text: String, _ json: JSON) throws -> String {
    let arguments = json["build_args"]?.object ?? [:]
    let images = try (json["images"]?.object ?? [:]).mapValues { try ContainerConfig(json: $0) }
    do {
      let plan = try planOf(text, images: images) { options in
        options.target = json["target"]?.string
        options.buildArgs = arguments.keys.sorted().map { .init($0, arguments[$0]?.string) }
      }
      return plan.text + plan.warnings.map { "warning: \($0.message)\n" }.joined()
    } catch let error as Failure {
      return "error: \(error)\n"
    }
  }
}
