public import Core
internal import HTTP

extension RegistryClient {
  /// Gets the blob `descriptor` of the repository of `reference`, from its byte `offset` on, and gives each byte to
  /// `sink` once and in order, the last one too: a transfer that is cut goes on where it was. The number of bytes is
  /// checked; the digest is the caller's to check, who may have the bytes before `offset`.
  public func blob(
    _ descriptor: Descriptor, of reference: ImageReference, from offset: Int64 = 0,
    into sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard offset <= descriptor.size else {
      throw Failure("get blob \(descriptor.digest.short) of \(reference)", "there is nothing behind byte \(offset)")
    }
    var download = BlobDownload(descriptor, from: offset)
    do {
      try require(
        "get blob \(descriptor.digest.short) of \(reference)", reference, .pull
      ) { try download.run($0, into: sink) }
    } catch let error as SinkError {
      throw error.error
    }
  }

  /// Whether the repository of `reference` has the blob.
  public func blobExists(_ descriptor: Descriptor, of reference: ImageReference) throws -> Bool {
    try require("look for blob \(descriptor.digest.short) of \(reference)", reference, .push) {
      try $0.blobExists(descriptor, scopes: .push($0.endpoint.repository))
    }
  }
}

/// What the caller's own closure threw: no trouble of the transfer.
struct SinkError: Error {
  var error: any Error
}

/// A blob that comes in one or more pieces, from one or more endpoints.
struct BlobDownload {
  private let descriptor: Descriptor
  /// Bytes that the caller has.
  private(set) var position: Int64
  /// Whether the server can begin in the middle, as far as is known.
  private var hasRanges = true

  /// Bytes that a try must bring to count as progress.
  private static let progress: Int64 = 64 * 1024

  init(_ descriptor: Descriptor, from offset: Int64) {
    self.descriptor = descriptor
    position = offset
  }

  /// Gets the rest from one endpoint.
  mutating func run(_ session: EndpointSession, into sink: (UnsafeRawBufferPointer) throws -> Void) throws {
    var plan = RetryPlan()
    hasRanges = true
    while position < descriptor.size {
      let start = position
      let trouble: Trouble?
      do {
        trouble = try piece(session, sink)
      } catch let error as HTTPError {
        trouble = .network(error)
      }
      guard position < descriptor.size else { return }
      if position - start >= BlobDownload.progress { plan.reset() }
      if let trouble { try session.wait(after: trouble, &plan) }
    }
  }

  /// One request and its content; what was in its way, or nil.
  private mutating func piece(
    _ session: EndpointSession, _ sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Trouble? {
    var request = EndpointRequest(
      method: "GET", target: session.base + "blobs/\(descriptor.digest)", scopes: .pull(session.endpoint.repository))
    // A proxy that compresses on the way would change the bytes.
    request.fields = [("Accept-Encoding", "identity")]
    if position > 0, hasRanges { request.fields.append(("Range", "bytes=\(position)-")) }
    let answer = try withoutActuallyEscaping(sink) { sink in
      var place = self
      defer { self = place }
      return try session.exchange(request) { head in
        var skip = try place.gap(head)
        return { bytes in
          let piece = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(Int(min(skip, Int64(bytes.count)))))
          skip -= Int64(bytes.count - piece.count)
          try place.deliver(piece, sink)
        }
      }
    }
    if answer.isSuccess { return position < descriptor.size ? .network(HTTPError(.interrupted, "cut")) : nil }
    if answer.status == 416, hasRanges {
      hasRanges = false
      return .content("it has nothing behind byte \(position)")
    }
    guard Trouble.isPassing(answer) else { throw session.refusal(of: answer) }
    return .status(answer)
  }

  /// How many bytes of the content the caller has already.
  private func gap(_ head: HTTPHead) throws -> Int64 {
    var first: Int64 = 0
    var length = head.fields["Content-Length"].flatMap { Int64($0) }
    if head.status == 206 {
      guard let range = ContentRange(head.fields["Content-Range"] ?? ""), range.first <= position else {
        throw RegistryError(.refused, "the answer begins behind the byte \(position) that was asked for")
      }
      first = range.first
      length = range.total
    }
    if let length, length != descriptor.size {
      throw RegistryError(.refused, "the blob has \(length) bytes, not \(descriptor.size)")
    }
    return position - first
  }

  private mutating func deliver(
    _ piece: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if piece.isEmpty { return }
    guard Int64(piece.count) <= descriptor.size - position else {
      throw RegistryError(.refused, "the blob has more than its \(descriptor.size) bytes")
    }
    do {
      try sink(piece)
    } catch {
      throw SinkError(error: error)
    }
    position += Int64(piece.count)
  }
}

/// `bytes 0-99/200` (RFC 9110, 14.4).
struct ContentRange: Equatable {
  var first: Int64
  var last: Int64
  /// nil: unknown.
  var total: Int64?

  init?(_ text: String) {
    guard text.hasPrefix("bytes "), text.utf8.count < 100 else { return nil }
    let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    let ends = parts.first?.split(separator: "-", omittingEmptySubsequences: false) ?? []
    guard parts.count == 2, ends.count == 2, let first = Int64(ends[0]), let last = Int64(ends[1]), first >= 0,
      last >= first, last < Int64.max
    else { return nil }
    self.first = first
    self.last = last
    total = Int64(parts[1])
    if total == nil, parts[1] != "*" { return nil }
  }
}

extension EndpointSession {
  func blobExists(_ descriptor: Descriptor, scopes: ScopeSet) throws -> Bool {
    let answer = try answer(
      EndpointRequest(method: "HEAD", target: base + "blobs/\(descriptor.digest)", scopes: scopes))
    if answer.isSuccess {
      let length = answer.fields["Content-Length"].flatMap { Int64($0) }
      return length == nil || length == descriptor.size
    }
    // A cloud's storage that was redirected to may refuse HEAD: then the blob is sent again.
    if answer.status == 404 || answer.isElsewhere || answer.status == 405 { return false }
    throw refusal(of: answer)
  }
}
