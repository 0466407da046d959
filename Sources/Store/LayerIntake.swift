internal import Core
internal import FileTree
internal import Linux

/// A layer's blob on its way in, plain or compressed with gzip or zstd: pushed once, it is kept and hashed, and beside
/// that inflated, hashed again and written as the layer's tar, by threads of their own.
///
/// One that is let go before `finish` leaves nothing but what its writer leaves. Not safe for use from two threads.
final class LayerIntake: ByteSink {
  private let store: Store
  private let kept: BlobWriter
  private let inflation: Inflation

  /// Takes in a new blob.
  init(_ store: Store) throws {
    self.store = store
    inflation = Inflation(store)
    kept = try BlobWriter(store)
  }

  /// Goes on with a blob of which a part has come.
  init(_ store: Store, resuming partial: PartialBlob) throws {
    self.store = store
    let inflation = Inflation(store)
    self.inflation = inflation
    var failure: (any Error)?
    kept = try BlobWriter(store, resuming: partial) { bytes in
      do { try inflation.write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Bytes so far.
  var size: Int64 { kept.size }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try kept.write(bytes)
    try inflation.write(bytes)
  }

  /// Throws if the bytes so far are not those of `digest`.
  func verify(_ digest: Digest) throws { _ = try kept.verified(digest) }

  /// Makes the blob one of the store's, and its tar a layer. Throws if the blob's digest is not `digest`, the tar's not
  /// `diffID`, or the tar can't be read to its end; then it leaves nothing.
  func finish(digest: Digest?, diffID: Digest?) throws -> (layer: Layer, blob: Descriptor) {
    let found = try kept.verified(digest)
    guard let tar = try inflation.finish() else {
      // The blob is the tar.
      _ = try kept.verified(diffID)
      let feed = try kept.verifyTar()
      let (_, size) = try kept.finish()
      let layer = try store.adoptBlobAsLayer(found)
      try store.place(feed.finish(tarSize: size), for: found)
      return (layer, Descriptor(mediaType: MediaType.ociLayer, digest: found, size: size))
    }
    let inner = try tar.writer.verified(diffID)
    let feed = try tar.writer.verifyTar()
    let (_, size) = try kept.finish()
    let layer = try store.adopt(tar.writer, inner, feed)
    try store.link(compressed: found, to: inner, mediaType: tar.mediaType)
    return (layer, Descriptor(mediaType: tar.mediaType, digest: found, size: size))
  }
}

/// What becomes the layer's tar: the way from a compressed blob, none for a plain one.
private final class Inflation {
  private let store: Store
  private var head: [UInt8] = []
  private var compression: Compression?
  private var bytes: PushedBytes?
  private var tar: BlobWriter?

  init(_ store: Store) { self.store = store }

  func write(_ more: UnsafeRawBufferPointer) throws {
    if compression == nil {
      head += more
      if head.count >= 4 { try begin() }
    } else {
      bytes?.write(more)
    }
  }

  /// Waits for the tar; nil if the blob is not compressed. Throws what inflating it threw.
  func finish() throws -> (writer: BlobWriter, mediaType: String)? {
    if compression == nil { try begin() }
    guard let bytes, let tar, let compression else { return nil }
    try bytes.finish()
    return (tar, compression == .gzip ? MediaType.ociLayerGzip : MediaType.ociLayerZstd)
  }

  private func begin() throws {
    let compression = Compression(firstBytes: head)
    self.compression = compression
    defer { head = [] }
    if compression == .none { return }
    let tar = try BlobWriter(store)
    let bytes = try PushedBytes { read in
      let source = ClosureSource(read)
      // A thread inflates, this one hashes and writes.
      try ReadAheadSource(Decompressor(source, compression)).copy(to: tar)
    }
    head.withUnsafeBytes { bytes.write($0) }
    self.tar = tar
    self.bytes = bytes
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
