public import Core
internal import Linux
internal import Synchronization

/// Content digests kept in a file from one run to the next, so that what has not changed is not read again.
///
/// A file is known by device, inode, size and both times; one that was changed less than two seconds before it was read
/// is not remembered, since a further change may leave its times as they are. The file is a cache: what can't be read
/// or written counts as empty.
public final class ContentDigestFile: ContentDigestMemory {
  /// More entries than this are not kept; those asked for in this run go first.
  static let limit = 400_000
  private static let magic = Array("stave contents 1\n".utf8)
  private static let recordSize = 88

  private struct State {
    var digests: [TreeNode.ContentKey: Digest] = [:]
    var used: Set<TreeNode.ContentKey> = []
    var isChanged = false
  }

  private let path: String
  private let state: Mutex<State>

  /// Reads `path`, a file of the host.
  public init(_ path: String) {
    self.path = path
    let bytes = (try? HostPath.read(path, limit: 1 << 26)) ?? []
    state = Mutex(State(digests: ContentDigestFile.decode(bytes)))
  }

  public func digest(_ key: TreeNode.ContentKey) -> Digest? {
    state.withLock { state in
      guard let known = state.digests[key] else { return nil }
      state.used.insert(key)
      return known
    }
  }

  public func remember(_ key: TreeNode.ContentKey, _ digest: Digest) {
    let settled = Machine.now().seconds - 2
    guard key.mtime.seconds < settled, key.ctime.seconds < settled else { return }
    state.withLock { state in
      state.digests[key] = digest
      state.used.insert(key)
      state.isChanged = true
    }
  }

  /// Replaces the file if anything was learned. Throws a `SystemError`; the caller may go on without.
  public func save() throws {
    let bytes: [UInt8]? = state.withLock { state in
      guard state.isChanged else { return nil }
      state.isChanged = false
      var out = ContentDigestFile.magic
      let count = min(state.digests.count, ContentDigestFile.limit)
      out.reserveCapacity(out.count + count * ContentDigestFile.recordSize)
      let keys = state.digests.keys.sorted { a, b in
        let first = state.used.contains(a)
        return first != state.used.contains(b) ? first : (a.inode, a.ctime) < (b.inode, b.ctime)
      }
      for key: TreeNode.ContentKey in keys.prefix(ContentDigestFile.limit) {
        guard let digest = state.digests[key] else { continue }
        ContentDigestFile.encode(key, digest, to: &out)
      }
      return out
    }
    if let bytes { try HostPath.write(bytes, to: path, mode: 0o600) }
  }

  private static func encode(_ key: TreeNode.ContentKey, _ digest: Digest, to out: inout [UInt8]) {
    func put(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { out.append(contentsOf: $0) } }
    let raw = hexadecimal(digest.encoded)
    guard raw.count == 32 else { return }
    put(key.device)
    put(key.inode)
    put(UInt64(bitPattern: key.size))
    put(UInt64(bitPattern: key.mtime.seconds))
    put(UInt64(bitPattern: key.ctime.seconds))
    put(UInt64(UInt32(bitPattern: key.mtime.nanoseconds)))
    put(UInt64(UInt32(bitPattern: key.ctime.nanoseconds)))
    out.append(contentsOf: raw)
  }

  private static func decode(_ bytes: [UInt8]) -> [TreeNode.ContentKey: Digest] {
    guard bytes.starts(with: magic), (bytes.count - magic.count) % recordSize == 0 else { return [:] }
    var out: [TreeNode.ContentKey: Digest] = [:]
    out.reserveCapacity(bytes.count / recordSize)
    bytes.withUnsafeBytes { raw in
      for at in stride(from: magic.count, to: bytes.count, by: recordSize) {
        func number(_ index: Int) -> UInt64 {
          UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at + 8 * index, as: UInt64.self))
        }
        let key = TreeNode.ContentKey(
          device: number(0), inode: number(1), size: Int64(bitPattern: number(2)),
          mtime: Timestamp(
            seconds: Int64(bitPattern: number(3)), nanoseconds: Int32(truncatingIfNeeded: number(5))),
          ctime: Timestamp(
            seconds: Int64(bitPattern: number(4)), nanoseconds: Int32(truncatingIfNeeded: number(6))))
        if let digest = try? Digest("sha256:" + digits(raw[(at + 56)..<(at + 88)])) { out[key] = digest }
      }
    }
    return out
  }

  private static func digits(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func hexadecimal(_ text: String) -> [UInt8] {
    var out: [UInt8] = []
    var high: UInt8?
    for byte: UInt8 in text.utf8 {
      let value = byte <= UInt8(ascii: "9") ? byte &- UInt8(ascii: "0") : byte &- UInt8(ascii: "a") &+ 10
      if let first = high {
        out.append(first << 4 | value & 15)
        high = nil
      } else {
        high = value & 15
      }
    }
    return out
  }
}
