internal import Linux

/// A source that reads another one ahead on a thread of its own, so that decompression runs beside hashing and writing.
public final class ReadAheadSource: ByteSource {
  private let reader: BackgroundReader

  /// Reads `source`, which nobody else may use from now on, up to 2 MiB ahead.
  public init(_ source: ByteSource) {
    reader = BackgroundReader(chunkSize: 524_288, depth: 4) { try source.read(into: $0) }
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try reader.read(into: buffer) }
}
