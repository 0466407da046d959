public import Core
internal import HTTP

/// A blob that is sent while it is made, in pieces: its length and digest are known at the end.
///
/// `append` any number of times, then `finish` or `cancel`. A piece is kept until the registry has it, so that cuts
/// are made good. For one thread at a time.
public final class BlobUpload: @unchecked Sendable {
  private let action: String
  private var upload: UploadSession
  private var plan = RetryPlan()
  /// Bytes that the registry may not have; the first one is that of its offset.
  private var waiting: [UInt8] = []
  private let piece: Int
  /// Bytes given to `append` so far.
  public private(set) var size: Int64 = 0

  /// Bytes of a piece, unless the registry wants more.
  private static let usualPiece = 4 << 20
  private static let largestPiece = 64 << 20

  fileprivate init(_ action: String, _ upload: UploadSession) throws {
    self.action = action
    self.upload = upload
    guard upload.minimum <= BlobUpload.largestPiece else {
      upload.cancel()
      throw RegistryError(.refused, "it wants pieces of \(upload.minimum) bytes, which is too much to keep in memory")
    }
    piece = max(upload.minimum, BlobUpload.usualPiece)
  }

  /// Adds `bytes` to the blob; sends them when there are enough.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(piece - waiting.count)
      waiting += part
      size += Int64(part.count)
      rest = rest.dropFirst(part.count)
      if waiting.count >= piece { try told { try flush() } }
    }
  }

  /// Ends the blob, whose digest is `digest`.
  public func finish(_ digest: Digest) throws {
    try told {
      if upload.offset > 0, !waiting.isEmpty { try flush() }
      while true {
        let trouble: Trouble
        do {
          let answer = try upload.put(digest, waiting.isEmpty ? .none : .bytes(waiting))
          if answer.isSuccess { return }
          // The answer to an earlier one may have been lost.
          if BlobPush.isDoubt(answer), try exists(digest) { return }
          guard Trouble.isPassing(answer) else { throw upload.session.refusal(of: answer) }
          trouble = .status(answer)
        } catch let error as HTTPError {
          trouble = .network(error)
        }
        try upload.session.wait(after: trouble, &plan)
        if try exists(digest) { return }
        try goOn()
        if upload.offset > 0, !waiting.isEmpty { try flush() }
      }
    }
  }

  private func exists(_ digest: Digest) throws -> Bool {
    try upload.session.blobExists(
      Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: size),
      scopes: .push(upload.session.endpoint.repository))
  }

  /// Gives it up.
  public func cancel() { upload.cancel() }

  /// Sends all of `waiting`.
  private func flush() throws {
    while !waiting.isEmpty {
      let start = upload.offset
      let trouble: Trouble
      do {
        let answer = try upload.patch(.bytes(waiting), count: Int64(waiting.count))
        if answer.isSuccess {
          try drop(from: start)
          plan.reset()
          continue
        }
        guard Trouble.isPassing(answer) || BlobPush.isDoubt(answer) else { throw upload.session.refusal(of: answer) }
        trouble = .status(answer)
      } catch let error as HTTPError {
        trouble = .network(error)
      }
      try upload.session.wait(after: trouble, &plan)
      try goOn()
    }
  }

  /// Asks where the registry is and goes on there.
  private func goOn() throws {
    let start = upload.offset
    guard try upload.synchronize() else {
      throw RegistryError(.refused, "\(upload.session.endpoint.host) has forgotten the upload")
    }
    try drop(from: start)
  }

  /// Lets go of the bytes that the registry has got since it had `start`.
  private func drop(from start: Int64) throws {
    let received = upload.offset - start
    guard received >= 0, received <= waiting.count else {
      throw RegistryError(
        .refused, "\(upload.session.endpoint.host) has \(upload.offset) bytes of the upload, not \(start)")
    }
    waiting.removeFirst(Int(received))
  }

  /// What went wrong in `body` as a `Failure`.
  private func told(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as RegistryError {
      throw Failure(action, error.reason, hint: error.hint)
    } catch let error as HTTPError {
      throw Failure(action, upload.session.refusal(of: .network(error)).reason)
    }
  }
}

extension RegistryClient {
  /// Begins to send a blob of unknown length to the repository of `reference`.
  public func beginUpload(to reference: ImageReference) throws -> BlobUpload {
    let action = "push to \(reference.familiarRepository)"
    return try require(action, reference, .push) { try BlobUpload(action, $0.beginUpload()) }
  }
}
