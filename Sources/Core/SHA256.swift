internal import CCrypto

/// An incremental SHA-256 (FIPS 180-4). Uses OpenSSL, which picks the processor's SHA instructions.
public struct SHA256Hasher: ~Copyable {
  private var context = SHA256_CTX()

  public init() { stave_sha256_init(&context) }

  /// Adds `bytes` to the message.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    stave_sha256_update(&context, base, bytes.count)
  }

  /// Adds `bytes` to the message.
  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  /// Adds the UTF-8 bytes of `text` to the message.
  public mutating func update(_ text: String) {
    var text = text
    text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
  }

  /// Puts the 32 bytes of the digest of all bytes so far into `out`.
  func finish(into out: UnsafeMutableRawBufferPointer) {
    var copy = context
    stave_sha256_final(out.bindMemory(to: UInt8.self).baseAddress, &copy)
  }

  /// The digest of all bytes so far. The hasher stays usable: more bytes may follow.
  public func digest() -> Digest {
    var copy = context
    var out: [UInt8] = [UInt8](repeating: 0, count: 32)
    stave_sha256_final(&out, &copy)
    return Digest(sha256Bytes: out)
  }
}
