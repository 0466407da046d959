public import Core
internal import HTTP

extension RegistryClient {
  static let manifestTypes = [
    MediaType.ociIndex, MediaType.ociManifest, MediaType.dockerList, MediaType.dockerManifest,
  ]

  /// What `reference` names now, by a HEAD, which counts against no limit of pulls.
  public func resolve(_ reference: ImageReference) throws -> Descriptor {
    try require("resolve \(reference)", reference, .pull) { try $0.resolve(reference) }
  }

  /// As `resolve`, but nil where the registry has no such manifest.
  public func find(_ reference: ImageReference) throws -> Descriptor? {
    try ask("resolve \(reference)", reference, .pull, optional: true) { try $0.resolve(reference) }
  }

  /// The manifest or index that `reference` names by digest, or else by tag; its bytes have that digest.
  public func manifest(_ reference: ImageReference) throws -> RemoteManifest {
    try require("get the manifest of \(reference)", reference, .pull) { try $0.manifest(reference) }
  }

  /// The manifest or index `descriptor` in the repository of `reference`.
  public func manifest(_ descriptor: Descriptor, of reference: ImageReference) throws -> RemoteManifest {
    let found = try manifest(reference.named(by: descriptor.digest))
    guard found.descriptor.size == descriptor.size else {
      throw Failure(
        "get the manifest \(descriptor.digest.short) of \(reference)",
        "it has \(found.descriptor.size) bytes, not \(descriptor.size)")
    }
    return found
  }
}

extension ImageReference {
  /// The manifest `digest` in the same repository.
  func named(by digest: Digest) throws -> ImageReference {
    try ImageReference("\(registry)/\(repository)@\(digest)")
  }

  /// What stands for the manifest in a URL: the digest, or else the tag.
  var manifestName: String { digest?.text ?? tag ?? "latest" }
}

extension EndpointSession {
  private func manifestRequest(_ method: String, _ reference: ImageReference) -> EndpointRequest {
    EndpointRequest(
      method: method, target: base + "manifests/" + reference.manifestName,
      fields: [("Accept", RegistryClient.manifestTypes.joined(separator: ", "))], scopes: .pull(endpoint.repository),
      limit: RegistryClient.manifestLimit)
  }

  func resolve(_ reference: ImageReference) throws -> Descriptor {
    let answer = try answer(manifestRequest("HEAD", reference))
    if answer.isSuccess, let type = EndpointSession.mediaType(answer), RegistryClient.manifestTypes.contains(type),
      let text = answer.fields["Docker-Content-Digest"], let digest = try? Digest(text),
      let size = answer.fields["Content-Length"].flatMap({ Int64($0) }), size >= 0
    {
      if let asked = reference.digest, asked != digest { throw mismatch(asked, digest) }
      return Descriptor(mediaType: type, digest: digest, size: size)
    }
    switch answer.status {
    case 404, 401, 413: throw refusal(of: answer)
    // Not every server has HEAD or says all in it, and none its reasons.
    default: return try manifest(reference).descriptor
    }
  }

  func manifest(_ reference: ImageReference) throws -> RemoteManifest {
    var plan = RetryPlan()
    while true {
      let answer = try answer(manifestRequest("GET", reference))
      guard answer.isSuccess else { throw refusal(of: answer) }
      if let trouble = try mismatch(answer, reference) {
        try wait(after: .content(trouble), &plan)
        continue
      }
      let type = try checkedType(answer)
      let descriptor = Descriptor(
        mediaType: type, digest: .sha256(answer.content), size: Int64(answer.content.count))
      return RemoteManifest(descriptor: descriptor, bytes: answer.content)
    }
  }

  private func mismatch(_ asked: Digest, _ found: Digest) -> RegistryError {
    RegistryError(.refused, "\(endpoint.host) gave \(found) where \(asked) was asked for")
  }

  /// Why the content is not that of the digest; nil: it is.
  private func mismatch(_ answer: Answer, _ reference: ImageReference) throws -> String? {
    let digest = Digest.sha256(answer.content)
    if let length = answer.fields["Content-Length"].flatMap({ Int($0) }), length != answer.content.count {
      return "the manifest has \(answer.content.count) bytes, not \(length)"
    }
    let told = answer.fields["Docker-Content-Digest"].flatMap { try? Digest($0) }
    for wanted in [reference.digest, told].compactMap({ $0 }) {
      guard wanted.algorithm == "sha256" else {
        throw RegistryError(.refused, "digests of algorithm \(wanted.algorithm) are not supported yet")
      }
      if wanted != digest { return "the manifest's content does not match \(wanted): it is \(digest)" }
    }
    return nil
  }

  /// The media type that the content names itself, and the field `Content-Type`: one and the same.
  private func checkedType(_ answer: Answer) throws -> String {
    let outer = EndpointSession.mediaType(answer)
    let json: JSON
    do {
      json = try JSON.parse(answer.content)
    } catch let error as Failure {
      throw RegistryError(.refused, "\(endpoint.host) gave no manifest: \(error)")
    }
    if json["schemaVersion"]?.int == 1 {
      throw RegistryError(
        .refused, "the image has a manifest of schema 1, which is not supported",
        hint: "push it anew with a current tool")
    }
    let inner = json["mediaType"]?.string
    let known = outer.flatMap { RegistryClient.manifestTypes.contains($0) ? $0 : nil }
    if let inner, let known, inner != known {
      throw RegistryError(
        .refused, "\(endpoint.host) calls the manifest \(known), which calls itself \(ForeignText.line(inner))")
    }
    if let type = inner ?? known {
      guard RegistryClient.manifestTypes.contains(type) else {
        throw RegistryError(.refused, "\(ForeignText.line(type)) is no media type of an image")
      }
      return type
    }
    return json["manifests"] == nil ? MediaType.ociManifest : MediaType.ociIndex
  }

  /// `Content-Type` without parameters.
  static func mediaType(_ answer: Answer) -> String? {
    guard let value = answer.fields["Content-Type"] else { return nil }
    let type = value.prefix { $0 != ";" && $0 != " " }
    return type.isEmpty ? nil : type.lowercased()
  }
}
