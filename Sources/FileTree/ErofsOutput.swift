internal import Linux

/// Gathers the bytes of an index into large pieces for a sink, and keeps their checksum.
final class ErofsOutput {
  private let sink: ByteSink
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 131_072, alignment: 64)
  private var filled = 0
  private var flushed = 0
  private var sum = CRC32C()

  init(_ sink: ByteSink) { self.sink = sink }

  deinit { buffer.deallocate() }

  /// Bytes so far.
  var position: Int { flushed + filled }

  /// Appends a number in little endian.
  func put<T: FixedWidthInteger>(_ value: T) throws {
    if buffer.count - filled < MemoryLayout<T>.size { try flush() }
    buffer.storeBytes(of: value.littleEndian, toByteOffset: filled, as: T.self)
    filled += MemoryLayout<T>.size
  }

  func put(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      if filled == buffer.count { try flush() }
      let count = min(rest.count, buffer.count - filled)
      UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + count)]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      filled += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Appends zeros until `end` bytes are there.
  func pad(to end: Int) throws {
    while position < end {
      if filled == buffer.count { try flush() }
      let count = min(end - position, buffer.count - filled)
      UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + count)]).initializeMemory(
        as: UInt8.self, repeating: 0)
      filled += count
    }
  }

  /// Appends the trailer; nothing comes after it.
  func finish() throws {
    try flush()
    let trailer = IndexTrailer(checksum: sum.value, fileSize: Int64(position + IndexTrailer.size))
    try trailer.bytes.withUnsafeBytes { try put($0) }
    try flush()
  }

  private func flush() throws {
    if filled == 0 { return }
    let piece = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
    sum.update(piece)
    try sink.write(piece)
    flushed += filled
    filled = 0
  }
}
