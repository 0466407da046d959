public import Core
public import Linux

/// The content of a set of files as one digest, with the records it is made of: what a cache key is, and why.
///
/// Modification times don't count; everything else that reaches an image does.
public struct ContentDigest: Sendable, Equatable {
  /// One file of the set.
  public struct Record: Sendable, Equatable {
    public var path: TreePath
    /// `file`, `directory`, `symlink`, `hardlink`, `chardev`, `blockdev`, `fifo`.
    public var kind: String
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    public var size: Int64
    /// SHA-256 of a file's bytes or a link's text; nil for the rest.
    public var content: Digest?
    /// A device's `major:minor`, else empty.
    public var device: String
    /// `name=SHA-256 of the value` of each extended attribute, sorted by name.
    public var attributes: [String]

    init(_ entry: TarEntry, content: Digest?) {
      path = entry.path
      kind = entry.kind.word
      mode = entry.mode
      uid = entry.uid
      gid = entry.gid
      size = entry.kind == .regular ? entry.size : 0
      let isLink = entry.kind == .symlink || entry.kind == .hardLink
      self.content = isLink ? Digest.sha256(entry.linkTarget) : content
      let isDevice = entry.kind == .characterDevice || entry.kind == .blockDevice
      device = isDevice ? "\(entry.deviceMajor):\(entry.deviceMinor)" : ""
      attributes = entry.xattrs.map { "\($0.name)=\(Digest.sha256($0.value).encoded)" }
    }

    /// The record without its path, as hashed and shown: `file 644 0:0 12 sha256:...`.
    public var facts: String {
      var out = "\(kind) \(String(mode, radix: 8)) \(uid):\(gid) \(size)"
      if let content { out += " \(content.text)" }
      if !device.isEmpty { out += " \(device)" }
      for attribute: String in attributes { out += " \(attribute)" }
      return out
    }
  }

  /// SHA-256 over all records.
  public let digest: Digest
  /// Sorted by path.
  public let records: [Record]

  init(_ records: [Record]) {
    self.records = records
    var hasher = SHA256Hasher()
    hasher.update("stave content v1\n")
    for record: Record in records {
      // The path last and its length first: no name can imitate another record.
      hasher.update("\(record.facts.utf8.count) \(record.facts) \(record.path.bytes.count) ")
      hasher.update(record.path.bytes)
      hasher.update("\n")
    }
    digest = hasher.digest()
  }
}

/// Digests of contents that were read before.
public protocol ContentDigestMemory: Sendable {
  /// The SHA-256 of the file that `key` names, nil if it is not known.
  func digest(_ key: TreeNode.ContentKey) -> Digest?
  /// Keeps that the file that `key` names has the content `digest`.
  func remember(_ key: TreeNode.ContentKey, _ digest: Digest)
}

extension CopyPlan {
  /// The digest of everything that the plan copies or creates (repeated directories of the destination don't count),
  /// each file read once. Files that `memory` knows are not read.
  public func contentDigest(_ memory: (any ContentDigestMemory)? = nil) throws -> ContentDigest {
    try digest(from: hashes(entries.indices, memory))
  }

  /// As `contentDigest(_:)`, on up to `width` threads of `pool`.
  public func contentDigest(
    _ memory: (any ContentDigestMemory)? = nil, width: Int, pool: BlockingPool = .shared
  ) async throws -> ContentDigest {
    let step = max(1, min(width, entries.count))
    let parts = try await withThrowingTaskGroup(of: [Int: Digest].self) { group in
      for first in 0..<step {
        group.addTask {
          try await pool.run { try hashes(stride(from: first, to: entries.count, by: step), memory) }
        }
      }
      return try await group.reduce(into: [:]) { all, part in all.merge(part) { a, _ in a } }
    }
    return try digest(from: parts)
  }

  private func digest(from hashes: [Int: Digest]) throws -> ContentDigest {
    ContentDigest(
      entries.indices.lazy.filter { entries[$0].origin != .existing }.map {
        ContentDigest.Record(entries[$0].entry, content: hashes[$0])
      })
  }

  /// The SHA-256 of each regular file among `entries[indices]`.
  private func hashes(_ indices: some Sequence<Int>, _ memory: (any ContentDigestMemory)?) throws -> [Int: Digest] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 64)
    defer { buffer.deallocate() }
    var out: [Int: Digest] = [:]
    for index: Int in indices where entries[index].entry.kind == .regular {
      var key: TreeNode.ContentKey?
      if case .file(_, _, let known) = entries[index].data { key = known }
      if let key, let known = memory?.digest(key) {
        out[index] = known
        continue
      }
      guard let source = try source(entries[index]) else { continue }
      var hasher = SHA256Hasher()
      var total: Int64 = 0
      while true {
        let count = try source.read(into: buffer)
        if count == 0 { break }
        total += Int64(count)
        hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      }
      guard total == entries[index].entry.size else {
        throw Failure("read \(entries[index].entry.path)", "file changed while it was read")
      }
      let digest = hasher.digest()
      out[index] = digest
      if let key { memory?.remember(key, digest) }
    }
    return out
  }
}
