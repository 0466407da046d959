import Core
import FileTree
import Linux
import Synchronization
import Testing

@testable import Store

/// A layer's tar of `size` bytes of data, and its gzip form.
private func sample(_ size: Int = 300_000) throws -> (tar: [UInt8], gzip: [UInt8]) {
  let sink = MemorySink()
  let writer = TarWriter(sink)
  var value: UInt32 = 7
  let bytes = (0..<size).map { _ -> UInt8 in
    value = value &* 1_664_525 &+ 1_013_904_223
    return UInt8(truncatingIfNeeded: value >> 28)
  }
  try writer.begin(TarEntry(path: TreePath(clamping: "data"), kind: .regular, mode: 0o644, size: Int64(size)))
  try writer.write(bytes)
  _ = try writer.finish()
  let packed = MemorySink()
  let compressor = try Compressor(.gzip, into: packed)
  try compressor.write(sink.bytes)
  try compressor.finish()
  return (sink.bytes, packed.bytes)
}

private struct Cut: Error {}

private final class Counter: Sendable {
  private let count = Mutex(0)
  func add() { count.withLock { $0 += 1 } }
  var value: Int { count.withLock { $0 } }
}

/// Serves `bytes` from an offset on in pieces; stops with `Cut` when `limit` bytes have gone out.
private func serve(_ bytes: [UInt8], limit: Int = .max, asked: ((Int64) -> Void)? = nil)
  -> (Int64, (UnsafeRawBufferPointer) throws -> Void) throws -> Void
{
  { offset, push in
    asked?(offset)
    var rest = bytes[Int(offset)...]
    var sent = 0
    while !rest.isEmpty {
      let piece = rest.prefix(min(10_000, limit - sent))
      if piece.isEmpty { throw Cut() }
      try piece.withUnsafeBytes { try push($0) }
      sent += piece.count
      rest = rest.dropFirst(piece.count)
    }
  }
}

@Suite struct StoreFetchTests {
  private func descriptor(_ bytes: [UInt8]) -> Descriptor {
    Descriptor(mediaType: MediaType.ociLayerGzip, digest: .sha256(bytes), size: Int64(bytes.count))
  }

  @Test(arguments: [false, true]) func aCutFetchGoesOnWhereItEnded(isPlain: Bool) throws {
    let scratch = try Scratch()
    let (tar, gzip) = try sample()
    let bytes = isPlain ? tar : gzip
    let (blob, diffID) = (descriptor(bytes), Digest.sha256(tar))
    #expect(throws: Cut.self) {
      try scratch.store.fetchLayer(blob, diffID: diffID, serve(bytes, limit: 25_000))
    }
    #expect(try scratch.store.layer(diffID) == nil)
    #expect(try !scratch.store.hasBlob(blob.digest))
    var offsets: [Int64] = []
    try scratch.another().fetchLayer(blob, diffID: diffID, serve(bytes) { offsets.append($0) })
    #expect(offsets == [25_000])
    #expect(try scratch.store.hasLayer(diffID, as: blob.digest))
    #expect(try HostPath.read(scratch.store.tarPath(diffID)) == tar)
    try scratch.store.fetchLayer(blob, diffID: diffID) { _, _ in Issue.record("it is there") }
    #expect(try Directory(scratch.path + "/store/partial").entries() == [])
    #expect(try scratch.store.check() == [])
  }

  @Test func wrongBytesAreFetchedAnewAndNeverKept() throws {
    let scratch = try Scratch()
    let (tar, gzip) = try sample()
    var wrong = gzip
    wrong[gzip.count / 2] ^= 1
    let (blob, diffID) = (descriptor(gzip), Digest.sha256(tar))
    var attempts = 0
    try scratch.store.fetchLayer(blob, diffID: diffID) { offset, push in
      attempts += 1
      try serve(attempts == 1 ? wrong : gzip)(offset, push)
    }
    #expect(attempts == 2)
    let other = try Scratch()
    let text = message { try other.store.fetchLayer(blob, diffID: diffID, serve(wrong)) }
    #expect(text.contains("the content does not match"))
    #expect(try other.files == [])
    let refused = message { try other.store.fetchLayer(blob, diffID: .sha256("x"), serve(gzip)) }
    #expect(refused.contains("the content does not match"))
    #expect(try other.store.layer(diffID) == nil)
  }

  @Test func aBlobWithoutItsLayerIsNotFetchedAgain() throws {
    let scratch = try Scratch()
    let (tar, gzip) = try sample()
    try scratch.store.putBlob(gzip)
    try scratch.store.fetchLayer(descriptor(gzip), diffID: .sha256(tar)) { _, _ in Issue.record("it is there") }
    #expect(try scratch.store.hasLayer(.sha256(tar), as: .sha256(gzip)))
  }

  @Test func twoThatWantTheSameBlobFetchItOnce() async throws {
    let scratch = try Scratch()
    let (tar, gzip) = try sample()
    let (blob, diffID) = (descriptor(gzip), Digest.sha256(tar))
    let fetched = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        let store = try scratch.another()
        group.addTask {
          try await BlockingPool.shared.run {
            try store.fetchLayer(blob, diffID: diffID) { offset, push in
              fetched.add()
              try serve(gzip)(offset, push)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(fetched.value == 1)
    #expect(try scratch.store.hasLayer(diffID, as: blob.digest))
  }

  @Test func partialBlobsAreForgotten() throws {
    let scratch = try Scratch()
    let (tar, gzip) = try sample()
    #expect(throws: Cut.self) {
      try scratch.store.fetchLayer(descriptor(gzip), diffID: .sha256(tar), serve(gzip, limit: 25_000))
    }
    try scratch.store.removeStalePartials()
    #expect(try Directory(scratch.path + "/store/partial").entries().count == 1)
    try scratch.store.removeStalePartials(all: true)
    #expect(try Directory(scratch.path + "/store/partial").entries() == [])
  }
}
