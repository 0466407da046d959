public import Core
public import FileTree
internal import Linux

extension Store {
  /// Takes in the layer blob that `source` gives, plain or compressed with gzip or zstd, as it streams by.
  ///
  /// Verifies the blob's digest, the diffID and that the tar can be read to its end; what fails leaves nothing. A
  /// compressed blob is kept beside its tar. Returns the layer and the descriptor of the blob as it came.
  /// `what` names the blob in errors.
  public func ingestLayer(_ source: ByteSource, digest: Digest? = nil, diffID: Digest? = nil, what: String)
    throws -> (layer: Layer, blob: Descriptor)
  {
    do {
      let intake = try LayerIntake(self)
      try source.copy(to: intake)
      return try intake.finish(digest: digest, diffID: diffID)
    } catch let failure as Failure {
      throw failure.during(what)
    }
  }

  /// Whether the store has the layer `diffID`, and `blob` as a form of it.
  public func hasLayer(_ diffID: Digest, as blob: Digest) throws -> Bool {
    guard try layer(diffID) != nil, try hasBlob(blob) else { return false }
    return try blob == diffID || layer(ofCompressed: blob)?.diffID == diffID
  }

  /// As `hasLayer`; what is there counts as used now: while a lease is held it is not collected.
  public func useLayer(_ diffID: Digest, as blob: Digest) throws -> Bool {
    try sharing {
      guard try hasLayer(diffID, as: blob) else { return false }
      try markUsed(diffID, blob)
      return true
    }
  }

  /// The layer `diffID`, which counts as used now, or nil if the store does not have it.
  public func useLayer(_ diffID: Digest) throws -> Layer? {
    try sharing {
      guard let layer = try layer(diffID) else { return nil }
      try markUsed(diffID, diffID)
      return layer
    }
  }

  /// Brings in the layer `diffID`, whose form is `blob`, from elsewhere; nothing is done if the store has it.
  ///
  /// `fetch` pushes the blob's bytes from an offset on, in order, and throws if they end early: what has come by then
  /// stays for the next attempt of this or another command. Where another command fetches the same blob, this one
  /// waits, calls `waiting` once and shares the result. Bytes that are not the blob's are fetched anew, twice.
  public func fetchLayer(
    _ blob: Descriptor, diffID: Digest, waiting: () -> Void = {},
    _ fetch: (_ offset: Int64, _ push: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    if try useLayer(diffID, as: blob.digest) { return }
    do {
      for attempt in 1... {
        guard let partial = try PartialBlob.open(blob.digest, self, waiting: waiting) else { break }
        if try partial.file.status().size > blob.size { try partial.empty() }
        let intake = try LayerIntake(self, resuming: partial)
        if intake.size < blob.size { try fetch(intake.size) { try intake.write($0) } }
        do {
          try intake.verify(blob.digest)
        } catch {
          try partial.empty()
          if attempt == 3 { throw error }
          continue
        }
        _ = try intake.finish(digest: blob.digest, diffID: diffID)
        return
      }
      // The blob came without its layer: another command was killed between the two, or is just between them.
      if try useLayer(diffID, as: blob.digest) { return }
      _ = try ingestLayer(FileSource(openBlob(blob.digest)), digest: blob.digest, diffID: diffID, what: "")
    } catch let failure as Failure {
      throw failure.during("fetch layer \(blob.digest.short)")
    }
  }

  /// Marks a layer and a form of it as used; under the gate.
  func markUsed(_ diffID: Digest, _ blob: Digest) throws {
    try markUsed(paths.tar(diffID))
    if blob != diffID { try markUsed(paths.blob(blob)) }
  }

  /// Removes what is left of blobs that were being fetched long ago, or with `all` of all that nobody fetches now.
  public func removeStalePartials(all: Bool = false) throws { try PartialBlob.removeStale(self, all: all) }

  /// Makes the tar that `writer` holds, whose digest is `diffID`, a layer with its index.
  func adopt(_ writer: BlobWriter, _ diffID: Digest, _ feed: IndexFeed) throws -> Layer {
    let (_, size) = try writer.finish()
    let layer = try adoptBlobAsLayer(diffID)
    try place(feed.finish(tarSize: size), for: diffID)
    return layer
  }
}
