internal import Core

/// The plain bytes of a compressed source: gzip of one or more members, zstd of one or more frames, or plain.
///
/// Checksums are verified. A source that ends too early or goes on with garbage throws a `Failure`.
public final class Decompressor: ByteSource {
  /// What the source is compressed with.
  public let compression: Compression
  private let source: ByteSource
  private let decoder: FrameDecoder?
  private let buffer: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end: Int
  private var isSourceAtEnd = false
  private var isBetweenFrames = false

  /// Decompresses `source` as `compression`, or as its first bytes tell if that is nil.
  public init(_ source: ByteSource, _ compression: Compression? = nil) throws {
    self.source = source
    buffer = .allocate(byteCount: 262_144, alignment: 4096)
    do {
      end = try source.fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<512]))
      self.compression = compression ?? Compression(firstBytes: buffer[..<end])
      switch self.compression {
      case .none: decoder = nil
      case .gzip: decoder = try ISALDecoder.ifInstalled() ?? ZlibDecoder()
      case .zstd: decoder = try ZstdDecoder()
      }
    } catch {
      buffer.deallocate()
      throw error
    }
  }

  deinit { buffer.deallocate() }

  public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let decoder else { return try readPlain(into: output) }
    while true {
      if start == end { try refill() }
      if isBetweenFrames {
        // Tapes and some writers pad gzip with zeros.
        if compression == .gzip { while start < end, buffer[start] == 0 { start += 1 } }
        if start == end {
          if isSourceAtEnd { return 0 }
          continue
        }
        try decoder.reset()
        isBetweenFrames = false
      }
      let input = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
      let (consumed, produced, isComplete) = try decoder.decode(input, into: output)
      start += consumed
      isBetweenFrames = isComplete
      if produced > 0 { return produced }
      if consumed == 0 && !isComplete {
        guard input.isEmpty else { throw Failure("decompress \(compression.rawValue)", "it is malformed") }
        if isSourceAtEnd { throw Failure("decompress \(compression.rawValue)", "it ends too early") }
      }
    }
  }

  private func readPlain(into output: UnsafeMutableRawBufferPointer) throws -> Int {
    if start == end { return try source.read(into: output) }
    let count = min(output.count, end - start)
    output.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)]))
    start += count
    return count
  }

  private func refill() throws {
    if isSourceAtEnd { return }
    start = 0
    end = try source.read(into: buffer)
    isSourceAtEnd = end == 0
  }
}
