internal import Core
internal import Dockerfile
internal import FileTree
internal import Graph
public import Linux

extension Engine {
  /// The batch door of tests: one JSON array in, one of the same length and order out. `what` is `parse`, `expand`,
  /// `json`, `ignore`, `plan` or `document`. Needs no store and no privileges; one bad element does not end the batch.
  public static func debug(_ what: String, _ input: [UInt8]) throws -> [UInt8] {
    let doors: [String: @Sendable (JSON) -> JSON] = [
      "parse": { DockerfileDebug.parse($0) }, "expand": { DockerfileDebug.expand($0) },
      "json": { DockerfileDebug.json($0) }, "ignore": { FileTreeDebug.ignore($0) },
      "plan": { GraphDebug.plan($0) }, "document": { document($0) },
    ]
    guard let door = doors[what] else {
      throw Failure("debug \(what)", "no such door" + didYouMean(what, in: doors.keys.sorted()), exitCode: 125)
    }
    guard let elements = try JSON.parse(input).array else { throw Failure("debug \(what)", "input is no JSON array") }
    return JSON.array(elements.map { door($0) }).bytes
  }

  /// Reads the layer tar `input` and writes its index to `output`. Throws a `Failure` if the tar can't be read or has
  /// no index. Needs no store and no privileges.
  public static func debugIndex(of input: OpenFile, to output: OpenFile) throws {
    let feed = IndexFeed()
    let reader = TarReader(DescriptorSource(input))
    try feed.readAll(reader)
    try reader.drain()
    switch feed.finish(tarSize: reader.position) {
    case .index(let tree, let size): try ErofsWriter.write(tree, devices: [size], into: output)
    case .needsTree(let reason): throw Failure("index layer", reason)
    }
  }

  /// Whether an OCI image-spec document is accepted: `{"schema", "json"}` to `{"ok": true}` or `{"error"}`.
  private static func document(_ element: JSON) -> JSON {
    do {
      guard let schema = element["schema"]?.string, let text = element["json"]?.string else {
        throw Failure("read element", "schema or json is missing")
      }
      let json = try JSON.parse(text)
      switch schema {
      case "image-manifest-schema.json": _ = try ImageManifest(json: json)
      case "image-index-schema.json": _ = try ImageIndex(json: json)
      case "config-schema.json": _ = try ImageConfig(json: json)
      case "content-descriptor.json": _ = try Descriptor(json: json)
      case "image-layout-schema.json":
        guard json["imageLayoutVersion"]?.string == "1.0.0" else {
          throw Failure("read oci-layout", "imageLayoutVersion is not 1.0.0")
        }
      default: throw Failure("read document", "unknown schema \(schema)")
      }
      return .object(["ok": true])
    } catch {
      return .object(["error": .string("\(error)")])
    }
  }
}
