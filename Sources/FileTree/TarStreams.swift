/// Bytes that are pulled: a file, memory, the data of an archive, what a decompressor makes of another source.
public protocol ByteSource: AnyObject {
  /// Reads at least one and at most `buffer.count` bytes into `buffer` and returns how many; 0 at the end.
  /// `buffer` is not empty. Throws a `Failure` or a `SystemError`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int

  /// Passes over `count` bytes; returns how many there were, less only at the end.
  func skip(_ count: Int64) throws -> Int64
}

/// Where bytes are pushed to: a file, memory, a compressor in front of another sink.
public protocol ByteSink: AnyObject {
  /// Takes all of `bytes`, which are valid only during the call.
  func write(_ bytes: UnsafeRawBufferPointer) throws
}

extension ByteSink {
  /// Takes all of `bytes`.
  public func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }
}

extension ByteSource {
  /// Reads and drops the bytes: what a source does that can't seek.
  public func skip(_ count: Int64) throws -> Int64 {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 64)
    defer { buffer.deallocate() }
    var rest = count
    while rest > 0 {
      let room = Int(min(rest, Int64(buffer.count)))
      let read = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
      if read == 0 { break }
      rest -= Int64(read)
    }
    return count - rest
  }

  /// Fills `buffer` as far as the source goes and returns the number of bytes, below `buffer.count` only at the end.
  public func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    while filled < buffer.count {
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      if count == 0 { break }
      filled += count
    }
    return filled
  }

  /// All bytes up to the end, at most `limit`: nil if there are more.
  public func bytes(limit: Int) throws -> [UInt8]? {
    var out: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = try chunk.withUnsafeMutableBytes { try read(into: $0) }
      if count == 0 { return out }
      if count > limit - out.count { return nil }
      out.append(contentsOf: chunk[..<count])
    }
  }

  /// Pushes all bytes up to the end into `sink`; returns how many. Throws `CancellationError` in a cancelled task.
  @discardableResult
  public func copy(to sink: ByteSink, bufferSize: Int = 262_144) throws -> Int64 {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 64)
    defer { buffer.deallocate() }
    var total: Int64 = 0
    while true {
      try Task.checkCancellation()
      let count = try read(into: buffer)
      if count == 0 { return total }
      try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      total += Int64(count)
    }
  }
}

/// A source of bytes in memory.
public final class MemorySource: ByteSource {
  private let bytes: [UInt8]
  private var at = 0

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = min(buffer.count, bytes.count - at)
    if count == 0 { return 0 }
    buffer.copyBytes(from: bytes[at..<(at + count)])
    at += count
    return count
  }
}

/// A sink that keeps the bytes in memory.
public final class MemorySink: ByteSink {
  /// Everything written so far.
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes.append(contentsOf: bytes) }
}

/// A source that is a closure: `body` follows `ByteSource.read(into:)`.
public final class ClosureSource: ByteSource {
  private let body: (UnsafeMutableRawBufferPointer) throws -> Int

  public init(_ body: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) { self.body = body }

  public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try body(buffer) }
}

/// A sink that is a closure: `body` follows `ByteSink.write(_:)`.
public final class ClosureSink: ByteSink {
  private let body: (UnsafeRawBufferPointer) throws -> Void

  public init(_ body: @escaping (UnsafeRawBufferPointer) throws -> Void) { self.body = body }

  public func write(_ bytes: UnsafeRawBufferPointer) throws { try body(bytes) }
}
