public import Core

/// Writes a tar archive whose bytes depend on the entries and their data alone, and hashes it on the way.
///
/// `begin` an entry, `write` exactly `size` bytes if it is a regular file, go on with the next, `finish` once.
/// Entries stand in the order in which they are given. Not safe for use from two threads at once.
public final class TarWriter {
  private let sink: ByteSink
  private let observer: ((TarMember) -> Void)?
  private let buffer: UnsafeMutableRawBufferPointer
  private var filled = 0
  private var flushed: Int64 = 0
  private var hasher = SHA256Hasher()
  private var entry: TarEntry?
  private var remaining: Int64 = 0

  /// A writer that pushes large pieces into `sink`, and tells `observer` of each member when its data begin.
  public init(_ sink: ByteSink, observer: ((TarMember) -> Void)? = nil) {
    self.sink = sink
    self.observer = observer
    // Large enough to make system calls rare, small enough to stay in the second-level cache between the read, the
    // hash and the write.
    buffer = .allocate(byteCount: 262_144, alignment: 4096)
  }

  deinit { buffer.deallocate() }

  /// Bytes of the archive so far: the offset where the next header or the current entry's next data byte will stand.
  public var position: Int64 { flushed + Int64(filled) }

  /// Writes the headers of `entry`; returns the offset in the archive where its data begin.
  /// Throws if the entry before lacks data.
  @discardableResult
  public func begin(_ entry: TarEntry) throws -> Int64 {
    try endEntry()
    let start = position
    try append(TarHeader.bytes(entry))
    self.entry = entry
    remaining = entry.kind == .regular ? entry.size : 0
    observer?(
      TarMember(entry: entry, headerOffset: start, dataOffset: position, storedSize: remaining, extents: nil))
    return position
  }

  /// Adds data of the current entry; throws if that makes more than its size.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard Int64(bytes.count) <= remaining else { throw changed() }
    remaining -= Int64(bytes.count)
    try append(bytes)
  }

  /// Adds data of the current entry; throws if that makes more than its size.
  public func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Adds all of `source` as the data of the current entry; throws if it has more or less bytes than the entry lacks:
  /// a file that was changed while it was read.
  public func copy(from source: ByteSource) throws { try fill { try source.fill($0) } }

  /// Adds the data that `read` puts into the room that it is given; less than the room is the end of the data. Throws
  /// `CancellationError` in a cancelled task.
  func fill(_ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws {
    while true {
      try Task.checkCancellation()
      if filled == buffer.count { try flush() }
      // One byte more than is wanted tells whether there is more, without another call.
      let room = Int(min(Int64(buffer.count - filled), remaining + 1))
      let count = try read(UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + room)]))
      guard Int64(count) <= remaining else { throw changed() }
      filled += count
      remaining -= Int64(count)
      if count < room { break }
    }
    if remaining > 0 { throw changed() }
  }

  /// Writes the end of the archive; returns the SHA-256 and the size of the whole. The writer is used up.
  public func finish() throws -> (diffID: Digest, size: Int64) {
    try endEntry()
    try append([UInt8](repeating: 0, count: 2 * TarHeader.blockSize))
    try flush()
    return (hasher.digest(), flushed)
  }

  private func endEntry() throws {
    guard let entry else { return }
    if remaining > 0 { throw changed() }
    if entry.kind == .regular {
      let padding = TarHeader.padding(entry.size)
      if padding > 0 { try append([UInt8](repeating: 0, count: padding)) }
    }
    self.entry = nil
  }

  private func changed() -> Failure {
    Failure("read \(entry?.path.absolute ?? "data")", "file changed while it was read")
  }

  private func append(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try append($0) }
  }

  private func append(_ bytes: UnsafeRawBufferPointer) throws {
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

  private func flush() throws {
    if filled == 0 { return }
    let piece = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
    hasher.update(piece)
    try sink.write(piece)
    flushed += Int64(filled)
    filled = 0
  }
}
