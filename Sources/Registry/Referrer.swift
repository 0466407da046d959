public import Core
internal import HTTP

/// A manifest that is about another one, its subject: a signature, an attestation (OCI distribution-spec 1.1, Listing
/// Referrers).
public struct Referrer: Sendable, Hashable {
  public var descriptor: Descriptor
  /// What it is; nil: not said.
  public var artifactType: String?

  public init(_ descriptor: Descriptor, artifactType: String?) {
    self.descriptor = descriptor
    self.artifactType = artifactType
  }

  /// `descriptor` with what the bytes of its manifest say of it.
  init(_ descriptor: Descriptor, manifest bytes: [UInt8]) {
    let json = (try? JSON.parse(bytes)) ?? .null
    self.descriptor = descriptor
    self.descriptor.annotations = json["annotations"]?.object?.compactMapValues(\.string) ?? [:]
    artifactType = json["artifactType"]?.string ?? json["config"]?["mediaType"]?.string
  }

  init(json: JSON) throws {
    descriptor = try Descriptor(json: json)
    artifactType = json["artifactType"]?.string
  }

  var json: JSON {
    guard var members = descriptor.json.object else { return .null }
    members["artifactType"] = artifactType.map { .string($0) }
    return .object(members)
  }

  /// The digest of the subject that a manifest names, or nil.
  static func subject(of bytes: [UInt8]) -> Digest? {
    guard let text = (try? JSON.parse(bytes))?["subject"]?["digest"]?.string else { return nil }
    return try? Digest(text)
  }

  /// The tag of the index that takes the place of the API where a registry has none.
  static func tag(of subject: Digest) -> String {
    "\(subject.algorithm.prefix(32))-\(subject.encoded.prefix(64))"
  }
}

extension RegistryClient {
  /// The manifests in the repository of `reference` whose subject is `digest`, those of `artifactType` or all.
  public func referrers(
    of digest: Digest, in reference: ImageReference, artifactType: String? = nil
  ) throws -> [Referrer] {
    let found = try require("list referrers of \(digest.short) in \(reference.familiarRepository)", reference, .pull) {
      try $0.referrers(digest, artifactType)
    }
    return artifactType.map { type in found.filter { $0.artifactType == type } } ?? found
  }

  /// The tags of the repository of `reference`, as the registry sorts them.
  public func tags(of reference: ImageReference) throws -> [String] {
    try require("list tags of \(reference.familiarRepository)", reference, .pull) { session in
      var out: [String] = []
      try session.pages("tags/list?n=1000") { json in
        guard json["name"] != nil || json["tags"] != nil else {
          throw RegistryError(.refused, "\(session.endpoint.host) gave no list of tags")
        }
        // Only what can be a tag.
        out += (json["tags"]?.array ?? []).compactMap(\.string).filter { (try? ImageReference("x:\($0)")) != nil }
      }
      return out
    }
  }
}

extension EndpointSession {
  fileprivate func referrers(_ digest: Digest, _ artifactType: String?) throws -> [Referrer] {
    let query = artifactType.map { "?artifactType=" + HTTPURL.escape($0) } ?? ""
    var out: [Referrer] = []
    do {
      try pages("referrers/\(digest)\(query)") { out += try list($0) }
      return out
    } catch let error as RegistryError where error.kind == .notFound {
      return try tagged(digest)
    }
  }

  /// The referrers in the index that takes the place of the API; none where there is no such index.
  private func tagged(_ subject: Digest) throws -> [Referrer] {
    do {
      let reference = try ImageReference("x/\(endpoint.repository):\(Referrer.tag(of: subject))")
      let found = try manifest(reference)
      return try list(try JSON.parse(found.bytes))
    } catch let error as RegistryError where error.kind == .notFound {
      return []
    }
  }

  private func list(_ json: JSON) throws -> [Referrer] {
    do {
      return try (json["manifests"]?.array ?? []).map { try Referrer(json: $0) }
    } catch let error as Failure {
      throw RegistryError(.refused, "\(endpoint.host) gave a malformed list of referrers: \(error)")
    }
  }

  /// Enters `referrer` into the index of its subject.
  func enter(_ referrer: Referrer, subject: Digest) throws {
    var all = try tagged(subject)
    if all.contains(where: { $0.descriptor.digest == referrer.descriptor.digest }) { return }
    all.append(referrer)
    let bytes = JSON.members([
      "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": .array(all.map(\.json)),
    ]).bytes
    let descriptor = Descriptor(mediaType: MediaType.ociIndex, digest: .sha256(bytes), size: Int64(bytes.count))
    _ = try put(bytes, descriptor, as: Referrer.tag(of: subject))
  }

  /// Gets a list and its further pages (`Link: <...>; rel="next"`, RFC 8288), a thousand at the most.
  fileprivate func pages(_ path: String, _ page: (JSON) throws -> Void) throws {
    var target = base + path
    var seen: Set<String> = []
    while seen.count < 1000 {
      let answer = try answer(
        EndpointRequest(method: "GET", target: target, scopes: .pull(endpoint.repository), limit: 64 << 20))
      guard answer.isSuccess else { throw refusal(of: answer) }
      seen.insert(answer.url.description)
      guard let json = try? JSON.parse(answer.content) else {
        throw RegistryError(.refused, "\(endpoint.host) gave no JSON")
      }
      try page(json)
      guard let link = EndpointSession.next(answer.fields.values("Link")), let url = answer.url.resolve(link),
        url.origin == answer.url.origin, !seen.contains(url.description)
      else { return }
      target = url.description
    }
  }

  /// The target of the link to the next page.
  static func next(_ values: [String]) -> String? {
    for value in values where value.utf8.count <= HTTPURL.maximumLength {
      guard let open = value.firstIndex(of: "<"), let close = value[open...].firstIndex(of: ">") else { continue }
      let parameters = value[close...].lowercased().filter { $0 != "\"" && $0 != " " }
      if parameters.split(separator: ";").contains(where: { $0.hasPrefix("rel=next") }) {
        return String(value[value.index(after: open)..<close])
      }
    }
    return nil
  }
}
