/// How a layer's tar is compressed (OCI image-spec 1.1, layer.md, media types).
public enum Compression: String, Sendable, CaseIterable {
  case none, gzip, zstd

  /// The compression that the first bytes (at least 4 if there are as many) of a blob tell.
  public init(firstBytes: some Collection<UInt8>) {
    let magic = Array(firstBytes.prefix(4))
    if magic.starts(with: [0x1f, 0x8b]) {
      self = .gzip
    } else if magic == [0x28, 0xb5, 0x2f, 0xfd] {
      self = .zstd
    } else if magic.count == 4, magic[0] & 0xf0 == 0x50, magic[1...] == [0x2a, 0x4d, 0x18] {
      // A skippable frame in front, as seekable writers make.
      self = .zstd
    } else {
      self = .none
    }
  }
}
