internal import Core
internal import Linux

/// Compresses what is written to it and pushes the result into another sink. `finish` once at the end.
///
/// The bytes depend on the input, the level and the library's version alone, not on the number of threads or on how
/// the input was cut into writes. Gzip's levels 1 and 2 are for speed: they use ISA-L where it is installed, and then
/// the bytes depend on the kind of processor too.
public final class Compressor: ByteSink {
  private let encoder: StreamEncoder
  private var isFinished = false

  /// A compressor into `sink` on at most `threads` processors. `level` is 0 ... 9 for gzip, 1 ... 19 for zstd; nil is
  /// 6 and 3.
  public init(_ compression: Compression, into sink: ByteSink, level: Int? = nil, threads: Int? = nil) throws {
    let width = threads ?? Machine.processorCount
    switch compression {
    case .none: encoder = PlainEncoder(sink)
    case .gzip:
      encoder = try GzipEncoder(sink, level: Compressor.verify(level ?? 6, 0...9, "gzip"), width: width)
    case .zstd:
      encoder = try ZstdEncoder(sink, level: Compressor.verify(level ?? 3, 1...19, "zstd"), width: width)
    }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    precondition(!isFinished, "a compressor takes nothing after its end")
    try encoder.write(bytes)
  }

  /// Writes what is still held back and the end of the format.
  public func finish() throws {
    if isFinished { return }
    isFinished = true
    try encoder.finish()
  }

  private static func verify(_ level: Int, _ range: ClosedRange<Int>, _ format: String) throws -> Int32 {
    guard range.contains(level) else {
      throw Failure(
        "compress \(format)", "level \(level) is not between \(range.lowerBound) and \(range.upperBound)")
    }
    return Int32(level)
  }
}

/// One format's work in a compressor.
protocol StreamEncoder: AnyObject {
  func write(_ bytes: UnsafeRawBufferPointer) throws
  func finish() throws
}

/// Passes bytes on as they are.
private final class PlainEncoder: StreamEncoder {
  private let sink: ByteSink
  init(_ sink: ByteSink) { self.sink = sink }
  func write(_ bytes: UnsafeRawBufferPointer) throws { try sink.write(bytes) }
  func finish() {}
}
