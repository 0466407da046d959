public import Core
internal import HTTP

/// How a blob came into a repository.
public enum BlobPushOutcome: Sendable, Equatable {
  case existed
  /// From this repository of the same registry, without sending it.
  case mounted(from: String)
  case uploaded
}

/// The bytes of a blob from `offset` on: what it returns fills a buffer and says how many bytes it has put there, 0 at
/// the end.
public typealias BlobSource =
  @Sendable (_ offset: Int64) throws -> (UnsafeMutableRawBufferPointer) throws -> Int

extension RegistryClient {
  /// Sees to it that the repository of `reference` has `blob`: it may be there, be mounted from one of the
  /// repositories `sources` of the same registry, or is sent, in one request. One that is cut goes on where it was, if
  /// the registry lets it.
  public func push(
    _ blob: Descriptor, to reference: ImageReference, mountFrom sources: [String] = [], open: @escaping BlobSource
  ) throws -> BlobPushOutcome {
    try require("push blob \(blob.digest.short) to \(reference.familiarRepository)", reference, .push) { session in
      try BlobPush(session: session, blob: blob, open: open).run(mountFrom: sources)
    }
  }
}

/// One blob on its way to one endpoint.
struct BlobPush {
  let session: EndpointSession
  let blob: Descriptor
  let open: BlobSource

  /// How often content that the registry says is wrong is sent again.
  private static let limitOfDoubt = 2

  func run(mountFrom sources: [String]) throws -> BlobPushOutcome {
    if try exists() { return .existed }
    var begun: UploadSession?
    for source in sources.prefix(3) where source != session.endpoint.repository {
      do {
        switch try session.begin(mounting: (blob.digest, source)) {
        case .mounted:
          begun?.cancel()
          return .mounted(from: source)
        case .upload(let upload):
          begun?.cancel()
          begun = upload
        }
      } catch let error as RegistryError where error.kind != .network {
        // Who may not read there sends it.
        continue
      }
    }
    try upload(try begun ?? session.beginUpload())
    return .uploaded
  }

  private func exists() throws -> Bool { try session.blobExists(blob, scopes: .push(session.endpoint.repository)) }

  private func upload(_ first: UploadSession) throws {
    var upload = first
    var plan = RetryPlan()
    var doubts = 0
    while true {
      let start = upload.offset
      let trouble: Trouble
      do {
        let answer = try send(&upload)
        if answer.isSuccess { return try check(answer) }
        if BlobPush.isDoubt(answer), doubts < BlobPush.limitOfDoubt {
          doubts += 1
          // libcurl may have sent it twice, on a kept connection that gave no answer: the first one counted.
          if try exists() { return }
          try session.wait(after: .status(answer), &plan)
          upload = try session.beginUpload()
          continue
        }
        guard Trouble.isPassing(answer) else { throw session.refusal(of: answer) }
        trouble = .status(answer)
      } catch let error as HTTPError {
        trouble = .network(error)
      }
      try session.wait(after: trouble, &plan)
      // Its answer may have been lost on the way.
      if try exists() { return }
      if try upload.synchronize(), upload.offset <= blob.size {
        if upload.offset - start >= 64 * 1024 { plan.reset() }
      } else {
        upload = try session.beginUpload()
      }
    }
  }

  /// Sends what the registry doesn't have.
  private func send(_ upload: inout UploadSession) throws -> Answer {
    let offset = upload.offset
    let rest = blob.size - offset
    let body: HTTPBody =
      rest == 0 ? .none : .stream(length: rest) { [open] in try open(offset) }
    if offset == 0 || rest == 0 { return try upload.put(blob.digest, body) }
    let answer = try upload.patch(body, count: rest)
    guard answer.isSuccess else { return answer }
    return try upload.put(blob.digest, .none)
  }

  /// Whether the registry says that it got something else, or has forgotten the upload.
  static func isDoubt(_ answer: Answer) -> Bool {
    [400, 404, 416].contains(answer.status) && !answer.isElsewhere
  }

  private func check(_ answer: Answer) throws {
    guard let told = answer.fields["Docker-Content-Digest"].flatMap({ try? Digest($0) }),
      told.algorithm == blob.digest.algorithm, told != blob.digest
    else { return }
    throw RegistryError(.refused, "\(session.endpoint.host) stored the blob as \(told), not \(blob.digest)")
  }
}
