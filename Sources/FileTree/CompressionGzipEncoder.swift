internal import Core
internal import Linux

/// Makes one gzip member of blocks that are deflated in parallel, each with the 32 KiB before it as its dictionary
/// (RFC 1951 and 1952; the header has no name and no time).
final class GzipEncoder: StreamEncoder {
  /// Fixed: it decides the bytes.
  private static let blockSize = 1 << 20
  private static let dictionarySize = 32768

  private let sink: ByteSink
  private let zlib: Zlib
  /// For the fast levels, where it is installed.
  private let isal: ISAL?
  private let level: Int32
  private let width: Int
  /// The dictionary of the first block, then up to `width` blocks.
  private let buffer: UnsafeMutableRawBufferPointer
  private var dictionaryCount = 0
  private var filled = 0
  private var crc: UInt
  private var size: UInt32 = 0
  private var hasHeader = false

  init(_ sink: ByteSink, level: Int32, width: Int) throws {
    self.sink = sink
    self.level = level
    self.width = max(1, min(width, 64))
    zlib = try Zlib.bound()
    isal = (1...2).contains(level) ? ISAL.ifInstalled() : nil
    crc = zlib.crc32(0, nil, 0)
    buffer = .allocate(byteCount: GzipEncoder.dictionarySize + self.width * GzipEncoder.blockSize, alignment: 4096)
  }

  deinit { buffer.deallocate() }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      // A full buffer waits for the next byte, so that the last block is known when it is compressed.
      if filled == width * GzipEncoder.blockSize { try compress(isEnd: false) }
      let count = min(rest.count, width * GzipEncoder.blockSize - filled)
      let at = GzipEncoder.dictionarySize + filled
      UnsafeMutableRawBufferPointer(rebasing: buffer[at..<(at + count)]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      filled += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  func finish() throws {
    try compress(isEnd: true)
    var trailer: [UInt8] = []
    for value: UInt32 in [UInt32(truncatingIfNeeded: crc), size] {
      for shift: UInt32 in [0, 8, 16, 24] { trailer.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    try sink.write(trailer)
  }

  /// What the threads share: each writes its own block's slot only.
  private struct Batch: @unchecked Sendable {
    let buffer: UnsafeRawBufferPointer
    let results: UnsafeMutablePointer<Result<(bytes: [UInt8], crc: UInt), any Error>>
  }

  private func compress(isEnd: Bool) throws {
    if !hasHeader {
      try sink.write([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])
      hasHeader = true
    }
    let blockSize = GzipEncoder.blockSize
    let filled = self.filled
    let count = max(1, (filled + blockSize - 1) / blockSize)
    let batch = Batch(buffer: UnsafeRawBufferPointer(buffer), results: .allocate(capacity: count))
    batch.results.initialize(repeating: .success(([], 0)), count: count)
    defer {
      batch.results.deinitialize(count: count)
      batch.results.deallocate()
    }
    let firstDictionary = dictionaryCount
    let (zlib, isal, level) = (self.zlib, self.isal, self.level)
    ParallelLoop.run(count, width: width) { index in
      let start = GzipEncoder.dictionarySize + index * blockSize
      let length = min(blockSize, filled - index * blockSize)
      let known = index == 0 ? firstDictionary : GzipEncoder.dictionarySize
      let block = UnsafeRawBufferPointer(rebasing: batch.buffer[start..<(start + length)])
      let dictionary = UnsafeRawBufferPointer(rebasing: batch.buffer[(start - known)..<start])
      batch.results[index] = Result {
        let isLast = isEnd && index == count - 1
        let bytes =
          try isal?.deflate(block, dictionary: dictionary, level: level, isLast: isLast)
          ?? zlib.deflate(block, dictionary: dictionary, level: level, isLast: isLast)
        return (bytes, zlib.crc32(0, block.bindMemory(to: UInt8.self).baseAddress, UInt32(length)))
      }
    }
    for index in 0..<count {
      let (bytes, blockCRC) = try batch.results[index].get()
      let length = min(blockSize, filled - index * blockSize)
      crc = length == 0 ? crc : zlib.crc32Combine(crc, blockCRC, length)
      try sink.write(bytes)
    }
    size &+= UInt32(truncatingIfNeeded: filled)
    keepDictionary()
  }

  /// Moves the last 32 KiB in front of where the next block will stand. A batch that is not the last is full.
  private func keepDictionary() {
    let end = GzipEncoder.dictionarySize + filled
    dictionaryCount = min(GzipEncoder.dictionarySize, filled)
    let source = UnsafeRawBufferPointer(rebasing: buffer[(end - dictionaryCount)..<end])
    let start = GzipEncoder.dictionarySize - dictionaryCount
    UnsafeMutableRawBufferPointer(rebasing: buffer[start..<GzipEncoder.dictionarySize]).copyMemory(from: source)
    filled = 0
  }
}
