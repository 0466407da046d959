/// The work of one library in a decompressor: one frame (gzip member, zstd frame) after the other.
protocol FrameDecoder: AnyObject {
  /// Makes ready for the start of a frame.
  func reset() throws

  /// Takes from `input` (may be empty) and puts into `output`; says whether the frame is complete. Throws a `Failure`
  /// if the input is malformed.
  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws -> (consumed: Int, produced: Int, isComplete: Bool)
}

extension FrameDecoder {
  /// `count` as the libraries' 32-bit lengths hold it.
  func clamp(_ count: Int) -> UInt32 { UInt32(min(count, 1 << 30)) }
}
