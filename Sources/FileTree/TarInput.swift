internal import Core

/// The buffered input of a tar reader, which knows its offset. Every missing byte is a truncated archive.
final class TarInput {
  private let source: ByteSource
  private let buffer: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0
  /// Bytes taken so far.
  private(set) var offset: Int64 = 0

  init(_ source: ByteSource) {
    self.source = source
    buffer = .allocate(byteCount: 131_072, alignment: 4096)
  }

  deinit { buffer.deallocate() }

  /// The next 512 bytes, or nil if the input ends before the first of them.
  func block() throws -> [UInt8]? {
    while end - start < TarHeader.blockSize {
      if start > 0 {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
        end -= start
        start = 0
      }
      let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
      if count == 0 {
        if end == start { return nil }
        throw truncated()
      }
      end += count
    }
    let out = Array(buffer[start..<(start + TarHeader.blockSize)])
    start += TarHeader.blockSize
    offset += Int64(TarHeader.blockSize)
    return out
  }

  /// Reads at least one byte into `out`, which is not empty.
  func read(into out: UnsafeMutableRawBufferPointer) throws -> Int {
    var count = 0
    if start < end {
      count = min(out.count, end - start)
      out.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)]))
      start += count
    } else if out.count >= 4096 {
      count = try source.read(into: out)
    } else {
      start = 0
      end = try source.read(into: buffer)
      if end > 0 { return try read(into: out) }
    }
    if count == 0 { throw truncated() }
    offset += Int64(count)
    return count
  }

  /// The next `count` bytes.
  func bytes(_ count: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { out, filled in
      let raw = UnsafeMutableRawBufferPointer(out)
      while filled < count { filled += try read(into: UnsafeMutableRawBufferPointer(rebasing: raw[filled..<count])) }
    }
  }

  /// Passes over `count` bytes.
  func skip(_ count: Int64) throws {
    let buffered = Int(min(count, Int64(end - start)))
    start += buffered
    let rest = count - Int64(buffered)
    if rest > 0 {
      guard try source.skip(rest) == rest else { throw truncated() }
    }
    offset += count
  }

  /// Takes and drops everything up to the end of the source.
  func drain() throws {
    offset += Int64(end - start)
    start = end
    offset += try source.skip(Int64.max)
  }

  private func truncated() -> Failure {
    Failure("read archive", "it ends in the middle of a member, after \(offset + Int64(end - start)) bytes")
  }
}
