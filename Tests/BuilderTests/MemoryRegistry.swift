import Core
import HTTP
import Registry
import Synchronization

/// A registry in memory, `r.example`, as a transport that needs no network.
final class MemoryRegistry: HTTPTransport {
  struct State {
    /// `repository sha256:...`.
    var blobs: [String: [UInt8]] = [:]
    /// `repository tag` and `repository sha256:...`.
    var manifests: [String: (type: String, bytes: [UInt8])] = [:]
    var lines: [String] = []
  }

  let hasReferrers: Bool
  private let state = Mutex(State())

  init(hasReferrers: Bool = true) { self.hasReferrers = hasReferrers }

  var client: RegistryClient {
    RegistryClient(
      transport: self,
      endpoints: { reference, _ in [Endpoint(host: reference.registry, repository: reference.repository)] },
      credential: { _, _ in nil }, userAgent: "stave/test", notice: { _ in })
  }

  /// `METHOD path` of every request so far.
  var lines: [String] { state.withLock { $0.lines } }

  func manifest(_ key: String) -> (type: String, bytes: [UInt8])? { state.withLock { $0.manifests[key] } }
  func blob(_ key: String) -> [UInt8]? { state.withLock { $0.blobs[key] } }

  private struct Reply {
    var status: Int
    var fields: [(name: String, value: String)] = []
    var content: [UInt8] = []
  }

  func send(
    _ request: HTTPRequest, head: (HTTPHead) throws -> Void, body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let content = try bytes(of: request.body)
    guard let url = HTTPURL(request.url) else { throw HTTPError(.malformed, request.url) }
    let path = request.url.dropFirst("\(url.scheme)://\(url.authority)".count)
    let reply = state.withLock { state in
      state.lines.append("\(request.method) \(path)")
      return answer(request, String(path), content, &state)
    }
    try head(HTTPHead(status: reply.status, fields: HTTPFields(reply.fields)))
    if request.method != "HEAD" { try reply.content.withUnsafeBytes { try body($0) } }
  }

  private func bytes(of body: HTTPBody) throws -> [UInt8] {
    switch body {
    case .none: return []
    case .bytes(let bytes): return bytes
    case .stream(_, let open):
      let read = try open()
      var out: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = try buffer.withUnsafeMutableBytes { try read($0) }
        if count == 0 { return out }
        out += buffer.prefix(count)
      }
    }
  }

  private func answer(_ request: HTTPRequest, _ path: String, _ content: [UInt8], _ state: inout State) -> Reply {
    let parts = path.split(separator: "?", maxSplits: 1).map(String.init)
    let words = parts[0].split(separator: "/").map(String.init)
    guard words.count >= 4, words[0] == "v2" else { return Reply(status: 200) }
    if let at = words.firstIndex(of: "uploads") {
      let repository = words[1..<(at - 1)].joined(separator: "/")
      return upload(request.method, repository, parts.count > 1 ? parts[1] : "", content, &state)
    }
    let repository = words[1..<(words.count - 2)].joined(separator: "/")
    let name = words[words.count - 1]
    let key = "\(repository) \(name)"
    switch words[words.count - 2] {
    case "blobs":
      guard let blob = state.blobs[key] else { return Reply(status: 404) }
      return Reply(status: 200, fields: [("Content-Length", String(blob.count))], content: blob)
    case "manifests" where request.method == "PUT":
      let digest = Digest.sha256(content)
      for name in [name, digest.text] {
        state.manifests["\(repository) \(name)"] = (request.fields["Content-Type"] ?? "", content)
      }
      let subject = (try? JSON.parse(content))?["subject"]?["digest"]?.string
      let told = hasReferrers ? subject.map { [(name: "OCI-Subject", value: $0)] } ?? [] : []
      return Reply(status: 201, fields: [("Docker-Content-Digest", digest.text)] + told)
    case "manifests":
      guard let manifest = state.manifests[key] else { return Reply(status: 404) }
      return Reply(
        status: 200,
        fields: [
          ("Content-Type", manifest.type), ("Content-Length", String(manifest.bytes.count)),
          ("Docker-Content-Digest", Digest.sha256(manifest.bytes).text),
        ], content: manifest.bytes)
    case "referrers" where hasReferrers: return referrers(repository, name, state)
    default: return Reply(status: 404)
    }
  }

  private func upload(
    _ method: String, _ repository: String, _ query: String, _ content: [UInt8], _ state: inout State
  ) -> Reply {
    let pairs = query.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
    let values = Dictionary(
      pairs.map { ($0[0], $0.count > 1 ? $0[1].replacing("%3A", with: ":").replacing("%2F", with: "/") : "") },
      uniquingKeysWith: { first, _ in first })
    if method == "POST" {
      if let digest = values["mount"], let from = values["from"], let blob = state.blobs["\(from) \(digest)"] {
        state.blobs["\(repository) \(digest)"] = blob
        return Reply(status: 201)
      }
      return Reply(status: 202, fields: [("Location", "/v2/\(repository)/blobs/uploads/1?state=x")])
    }
    guard method == "PUT", let digest = values["digest"], Digest.sha256(content).text == digest else {
      return Reply(status: 400)
    }
    state.blobs["\(repository) \(digest)"] = content
    return Reply(status: 201)
  }

  private func referrers(_ repository: String, _ subject: String, _ state: State) -> Reply {
    let found = state.manifests.filter { key, value in
      key == "\(repository) \(Digest.sha256(value.bytes))"
        && (try? JSON.parse(value.bytes))?["subject"]?["digest"]?.string == subject
    }
    let list = found.values.map { value -> JSON in
      let json = (try? JSON.parse(value.bytes)) ?? .null
      return JSON.members([
        "mediaType": .string(value.type), "digest": .string(Digest.sha256(value.bytes).text),
        "size": .int(Int64(value.bytes.count)), "artifactType": json["artifactType"],
        "annotations": json["annotations"],
      ])
    }
    let index = JSON.object([
      "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": .array(list),
    ])
    return Reply(status: 200, fields: [("Content-Type", MediaType.ociIndex)], content: index.bytes)
  }
}
