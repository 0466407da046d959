internal import Core
internal import FileTree
internal import Linux
internal import Store

/// Which form layers have when they leave the store, and how it is made where the store does not have it.
struct LayerForms: Sendable {
  let store: Store
  /// nil: compressed layers as they are, the others with gzip.
  let compression: Compression?
  /// 0 ... 9 for gzip, 1 ... 19 for zstd; nil for the usual one.
  let level: Int?
  /// Whether compressed layers are compressed anew.
  let isForced: Bool

  /// A layer's blob: what it is, and the file that has it; nil where it must be made first.
  struct Blob: Sendable {
    var descriptor: Descriptor
    var file: OpenFile?
  }

  /// The layer `diffID` in the form that is wanted, as far as it is known without compressing. `stored` is what its
  /// image's manifest says of it.
  func known(_ diffID: Digest, _ stored: Descriptor) throws -> Blob? {
    if !isForced, stored.digest != diffID, try store.hasBlob(stored.digest) {
      return Blob(descriptor: stored, file: try store.openBlob(stored.digest))
    }
    let wanted = compression ?? .gzip
    if wanted == .none {
      let file = try OpenFile(store.tarPath(diffID))
      let size = try file.status().size
      return Blob(descriptor: Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: size), file: file)
    }
    if !isForced, level == nil {
      let mediaType = LayerForms.mediaType(wanted)
      if let form = try store.compressedForms(of: diffID).first(where: { $0.mediaType == mediaType }) {
        return Blob(descriptor: form, file: try store.openBlob(form.digest))
      }
    }
    return try store.form(name(wanted), of: diffID).map { Blob(descriptor: $0, file: nil) }
  }

  /// The layer compressed, in a temporary file without a name; it is remembered what came of it.
  func make(_ diffID: Digest) throws -> Blob {
    let wanted = compression ?? .gzip
    let (descriptor, file) = try LayerForms.compress(diffID, wanted, level: level, store)
    try store.remember(descriptor, as: name(wanted), of: diffID)
    return Blob(descriptor: descriptor, file: file)
  }

  private func name(_ compression: Compression) -> String {
    level.map { "\(compression.rawValue)-\($0)" } ?? compression.rawValue
  }

  /// Compresses the layer's tar into a temporary file without a name.
  static func compress(_ diffID: Digest, _ compression: Compression, level: Int?, _ store: Store) throws
    -> (Descriptor, OpenFile)
  {
    let path = try store.temporaryPath("layer")
    let file = try OpenFile(path, .createNew)
    try HostPath.removeFile(path)
    let sink = HashingSink(file)
    let compressor = try Compressor(compression, into: sink, level: level)
    try FileSource(OpenFile(store.tarPath(diffID))).copy(to: compressor)
    try compressor.finish()
    return (Descriptor(mediaType: mediaType(compression), digest: sink.digest, size: sink.size), file)
  }

  static func mediaType(_ compression: Compression) -> String {
    switch compression {
    case .gzip: MediaType.ociLayerGzip
    case .zstd: MediaType.ociLayerZstd
    case .none: MediaType.ociLayer
    }
  }
}

/// Hashes and counts what goes to a file.
private final class HashingSink: ByteSink {
  private let file: OpenFile
  private var hasher = SHA256Hasher()
  private(set) var size: Int64 = 0
  var digest: Digest { hasher.digest() }

  init(_ file: OpenFile) { self.file = file }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    hasher.update(bytes)
    try file.write(bytes)
    size += Int64(bytes.count)
  }
}
