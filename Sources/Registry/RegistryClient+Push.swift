public import Core
internal import HTTP

extension RegistryClient {
  /// Puts the manifest or index `bytes` into the repository of `reference`, exactly as they are, under each of `tags`,
  /// or, where there are none, under the name in `reference`: its digest, or else its tag. One with a `subject` is
  /// entered among the subject's referrers, where the registry does not do so itself.
  @discardableResult
  public func putManifest(
    _ bytes: [UInt8], mediaType: String, to reference: ImageReference, tags: [String] = []
  ) throws -> Descriptor {
    let descriptor = Descriptor(mediaType: mediaType, digest: .sha256(bytes), size: Int64(bytes.count))
    if let asked = reference.digest, tags.isEmpty, asked != descriptor.digest {
      throw Failure("push \(reference)", "the manifest's digest is \(descriptor.digest)")
    }
    try require("push \(reference)", reference, .push) { session in
      var answer: Answer
      var rest = tags.isEmpty ? [reference.manifestName] : tags
      if rest.count > 1 {
        let query = rest.map { "tag=" + HTTPURL.escape($0) }.joined(separator: "&")
        answer = try session.put(bytes, descriptor, as: "\(descriptor.digest)?\(query)")
        let done = answer.fields.values("OCI-Tag").flatMap { $0.split { $0 == "," || $0 == " " }.map(String.init) }
        rest.removeAll { done.contains($0) }
      } else {
        answer = try session.put(bytes, descriptor, as: rest.removeFirst())
      }
      for tag in rest { answer = try session.put(bytes, descriptor, as: tag) }
      if answer.fields["OCI-Subject"] == nil, let subject = Referrer.subject(of: bytes) {
        try session.enter(Referrer(descriptor, manifest: bytes), subject: subject)
      }
    }
    return descriptor
  }

  /// Whether `endpoint` speaks to us, with the credentials that are found for it. Throws a `Failure` if it does not,
  /// or refuses them.
  public func ping(_ endpoint: Endpoint) throws {
    let session = session(endpoint)
    do {
      let answer = try session.answer(EndpointRequest(method: "GET", target: "/v2/", scopes: .none))
      if answer.isSuccess { return }
      if answer.status == 404 {
        throw RegistryError(.refused, "\(endpoint.host) is no registry: it has no /v2/")
      }
      throw session.refusal(of: answer)
    } catch let error as RegistryError {
      throw Failure("reach \(endpoint.host)", error.reason, hint: error.hint)
    }
  }
}

extension EndpointSession {
  /// Puts a manifest under `name`: a tag, or a digest with a query.
  func put(_ bytes: [UInt8], _ descriptor: Descriptor, as name: String) throws -> Answer {
    var plan = RetryPlan()
    while true {
      let answer = try answer(
        EndpointRequest(
          method: "PUT", target: base + "manifests/" + name, fields: [("Content-Type", descriptor.mediaType)],
          body: .bytes(bytes), scopes: .push(endpoint.repository)))
      guard answer.isSuccess else { throw refusal(of: answer) }
      guard let told = answer.fields["Docker-Content-Digest"].flatMap({ try? Digest($0) }),
        told.algorithm == descriptor.digest.algorithm, told != descriptor.digest
      else { return answer }
      try wait(after: .content("the manifest was stored as \(told), not \(descriptor.digest)"), &plan)
    }
  }
}
