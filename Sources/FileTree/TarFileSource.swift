public import Linux
internal import Core

extension OpenFile: ByteSink {}

/// A range of a file as a source. Reads by offset: the file's own position is neither used nor moved.
public final class FileSource: ByteSource {
  private let file: OpenFile
  private var at: Int64
  private let end: Int64?

  /// The `length` bytes from `offset`, or all up to the file's end.
  public init(_ file: OpenFile, offset: Int64 = 0, length: Int64? = nil) {
    self.file = file
    at = offset
    end = length.map { offset + $0 }
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let room = end.map { Int(clamping: min(Int64(buffer.count), $0 - at)) } ?? buffer.count
    if room <= 0 { return 0 }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]), at: at)
    at += Int64(count)
    return count
  }

  public func skip(_ count: Int64) throws -> Int64 {
    let limit = try min(file.status().size, end ?? Int64.max)
    let skipped = max(0, min(count, limit - at))
    at += skipped
    return skipped
  }
}

/// A file, pipe or socket as a source, from its position on.
public final class DescriptorSource: ByteSource {
  private let file: OpenFile

  public init(_ file: OpenFile) { self.file = file }

  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try file.read(into: buffer) }
}
