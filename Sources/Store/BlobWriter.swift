public import Core
public import FileTree
public import Linux
internal import Synchronization

/// The one way bytes come into the store: into a temporary file, hashed on the way, synced, renamed.
///
/// `write` any number of times, then `finish` once. One that is let go before leaves nothing. Writing throws
/// `CancellationError` in a cancelled task. Not safe for use from two threads at once.
public final class BlobWriter: ByteSink {
  private let store: Store
  private let paths: StorePaths
  private let temporary: String
  private let file: OpenFile
  private let sink: FileSink
  private let partial: PartialBlob?
  private var hasher = SHA256Hasher()
  /// Bytes so far.
  public private(set) var size: Int64 = 0

  init(_ store: Store) throws {
    self.store = store
    paths = store.paths
    partial = nil
    temporary = try store.temporaryPath("blob")
    file = try OpenFile(temporary, .create, permissions: 0o600)
    sink = FileSink(file)
  }

  /// Goes on with `partial`, and leaves it in its place when it is let go. `seen` is given what is there already.
  init(_ store: Store, resuming partial: PartialBlob, seen: (UnsafeRawBufferPointer) -> Void) throws {
    self.store = store
    self.partial = partial
    paths = store.paths
    temporary = partial.path
    file = partial.file
    let there = try file.status().size
    sink = FileSink(file, position: there)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    while size < there {
      try Task.checkCancellation()
      let count = try file.read(into: buffer, at: size)
      if count == 0 { break }
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      hasher.update(bytes)
      seen(bytes)
      size += Int64(count)
    }
    try file.seek(to: size)
  }

  deinit { if partial == nil { try? HostPath.removeFile(temporary) } }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    hasher.update(bytes)
    try sink.write(bytes)
    size += Int64(bytes.count)
  }

  /// A second look at what was written so far.
  func reading() throws -> OpenFile { try OpenFile(temporary) }

  /// The digest of the bytes so far; throws if it is not `expected`.
  func verified(_ expected: Digest?) throws -> Digest {
    let digest = hasher.digest()
    if let expected, expected != digest {
      throw Failure("store blob \(expected)", "the content does not match: it is \(digest)")
    }
    return digest
  }

  /// Makes the bytes a blob. Throws if their digest is not `expected`, and then leaves nothing. A blob that is there
  /// already stays.
  public func finish(expected: Digest? = nil) throws -> (digest: Digest, size: Int64) {
    let digest = try verified(expected)
    try store.place(temporary, file, at: paths.blob(digest), size: size)
    return (digest, size)
  }
}

/// Writes the tar of a new layer once, through `tar`, with its index, and makes it a layer with `commit`.
///
/// One that is let go before leaves nothing. Writing throws `CancellationError` in a cancelled task. Not safe for use
/// from two threads at once.
public final class LayerWriter {
  /// Where the entries go; `commit` finishes it.
  public let tar: TarWriter
  private let store: Store
  private let temporary: String
  private let file: OpenFile
  private let feed: IndexFeed

  init(_ store: Store) throws {
    self.store = store
    let feed = IndexFeed()
    self.feed = feed
    temporary = try store.temporaryPath("layer")
    let file = try OpenFile(temporary, .create, permissions: 0o600)
    self.file = file
    tar = TarWriter(FileSink(file), observer: { feed.add($0) })
  }

  deinit { try? HostPath.removeFile(temporary) }

  /// Ends the tar and makes it a layer of the store.
  public func commit() throws -> Layer {
    let (diffID, size) = try tar.finish()
    try store.place(temporary, file, at: store.paths.blob(diffID), size: size)
    store.added(size)
    let layer = try store.adoptBlobAsLayer(diffID)
    try store.place(feed.finish(tarSize: size), for: diffID)
    return layer
  }
}

extension Store {
  /// A writer of a new blob.
  public func blobWriter() throws -> BlobWriter { try BlobWriter(self) }

  /// A writer of a new layer.
  public func layerWriter() throws -> LayerWriter { try LayerWriter(self) }

  /// Moves the finished temporary file to `path`, where it may stand already: a file of the right name and size has
  /// the right content, since every file comes this way.
  func place(_ temporary: String, _ file: OpenFile, at path: String, size: Int64) throws {
    if try isThere(path, size: size) { return try HostPath.removeFile(temporary) }
    try file.sync()
    try file.setMode(0o400)
    // Of a clock that jumped since the lease began, and of a file that took long to write.
    try markUsed(temporary)
    do {
      // Not by renaming: that would replace the file of who made the same blob meanwhile, which a layer's tar may be.
      try HostPath.link(temporary, to: path)
      try HostPath.removeFile(temporary)
    } catch let error as SystemError where error.code == .exists {
      if try isThere(path, size: size) { return try HostPath.removeFile(temporary) }
      try HostPath.rename(temporary, to: path)
    }
  }

  /// Whether the file `path` of that size is there to stay.
  private func isThere(_ path: String, size: Int64) throws -> Bool {
    try sharing {
      guard let there = try HostPath.status(path), there.size == size else { return false }
      return try markUsed(path, there)
    }
  }

  /// Stores `bytes` as a blob.
  @discardableResult
  public func putBlob(_ bytes: [UInt8], expected: Digest? = nil) throws -> Digest {
    let digest = Digest.sha256(bytes)
    if let expected, expected != digest {
      throw Failure("store blob \(expected)", "the content does not match: it is \(digest)")
    }
    if try sharing({ try markUsed(paths.blob(digest)) }) { return digest }
    let writer = try blobWriter()
    try writer.write(bytes)
    return try writer.finish(expected: digest).digest
  }

  /// Stores small documents as blobs: the disk is waited for once for all of them, not once for each.
  func putBlobs(_ documents: [[UInt8]]) throws {
    let missing = try sharing { try documents.filter { !(try markUsed(paths.blob(.sha256($0)))) } }
    let written = try missing.map { bytes in
      let temporary = try temporaryPath("blob")
      let file = try OpenFile(temporary, .create, permissions: 0o600)
      try file.write(bytes)
      return (temporary: temporary, file: file, path: try paths.blob(.sha256(bytes)))
    }
    let failure = Mutex<(any Error)?>(nil)
    ParallelLoop.run(written.count, width: written.count) { index in
      do {
        try written[index].file.sync()
      } catch {
        failure.withLock { $0 = error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    for (temporary, file, path) in written {
      try file.setMode(0o400)
      try markUsed(temporary)
      try HostPath.rename(temporary, to: path)
    }
  }

  /// Opens a blob for reading; throws a `Failure` if the store does not have it.
  public func openBlob(_ digest: Digest) throws -> OpenFile {
    do {
      return try OpenFile(paths.blob(digest))
    } catch let error as SystemError where error.code == .noEntry {
      throw Failure("open blob \(digest)", "the store does not have it")
    }
  }

  /// Whether the store has the blob.
  public func hasBlob(_ digest: Digest) throws -> Bool { try blobSize(digest) != nil }

  /// The blob's size in bytes, or nil if the store does not have it.
  public func blobSize(_ digest: Digest) throws -> Int64? { try HostPath.status(paths.blob(digest))?.size }

  /// All bytes of a blob that is a document, verified; throws beyond `limit` bytes or if it is damaged.
  public func readSmallBlob(_ digest: Digest, limit: Int = 16 << 20) throws -> [UInt8] {
    let bytes = try openBlob(digest).readAll(limit: limit)
    guard Digest.sha256(bytes) == digest else {
      throw Failure("read blob \(digest)", "the content is damaged", hint: "run \"stave system check --repair\"")
    }
    return bytes
  }
}
