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
      let head = try [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
        count = try source.fill(UnsafeMutableRawBufferPointer(buffer))
      }
      let tar = try blobWriter()
      let compression = Compression(firstBytes: head)
      if compression == .none {
        try tar.write(head)
        try source.copy(to: tar)
        let feed = try tar.verifyTar()
        let (found, size) = try tar.finish(expected: digest ?? diffID)
        guard diffID == nil || diffID == found else {
          throw Failure("store blob \(found)", "the config says that its tar is \(diffID?.text ?? "")")
        }
        let layer = try adoptBlobAsLayer(found)
        try place(feed.finish(tarSize: size), for: found)
        return (layer, Descriptor(mediaType: MediaType.ociLayer, digest: found, size: size))
      }
      let kept = try blobWriter()
      try kept.write(head)
      let tee = ClosureSource { buffer in
        let count = try source.read(into: buffer)
        if count > 0 { try kept.write(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        return count
      }
      let decompressor = try Decompressor(HeadedSource(head, tee), compression)
      try decompressor.copy(to: tar)
      try tee.copy(to: ClosureSink { _ in })
      let feed = try tar.verifyTar()
      let (blob, size) = try kept.finish(expected: digest)
      let (found, tarSize) = try tar.finish(expected: diffID)
      let mediaType = compression == .gzip ? MediaType.ociLayerGzip : MediaType.ociLayerZstd
      let layer = try adoptBlobAsLayer(found)
      try place(feed.finish(tarSize: tarSize), for: found)
      try link(compressed: blob, to: found, mediaType: mediaType)
      return (layer, Descriptor(mediaType: mediaType, digest: blob, size: size))
    } catch let failure as Failure {
      throw failure.during(what)
    }
  }
}

/// Bytes in memory, then those of another source.
private final class HeadedSource: ByteSource {
  private let head: MemorySource
  private let rest: ByteSource

  init(_ head: [UInt8], _ rest: ByteSource) {
    self.head = MemorySource(head)
    self.rest = rest
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = try head.read(into: buffer)
    return count > 0 ? count : try rest.read(into: buffer)
  }
}

extension BlobWriter {
  /// What makes the index of the tar that was written; throws if it can't be read to its end.
  func verifyTar() throws -> IndexFeed {
    let feed = IndexFeed()
    try feed.readAll(TarReader(FileSource(try reading())))
    return feed
  }
}
