public import Core

/// Writes a tar archive whose bytes depend on the entries and their data alone, and hashes it on the way.
///
/// `begin` an entry, `write` exactly `size` bytes if it is a regular file, go on with the next, `finish` once.
/// Entries stand in the order in which they are given. Not safe for use from two threads at once.
public final class TarWriter {
  private let sink: ByteSink
  private let observer: ((TarMember) -> Void)?
  // Large enough to make system calls rare, small enough to stay in the second-level cache between the read, the hash
  // and the write.
  private static let bufferSize = 262_144
  private var buffer = TarBuffer(capacity: TarWriter.bufferSize + 4096)
  private var flushed: Int64 = 0
  private let hasher = BackgroundHasher()
  private var entry: TarEntry?
  private var remaining: Int64 = 0

  /// A writer that pushes large pieces into `sink`, and tells `observer` of each member when its data begin.
  public init(_ sink: ByteSink, observer: ((TarMember) -> Void)? = nil) {
    self.sink = sink
    self.observer = observer
  }

  /// Bytes of the archive so far: the offset where the next header or the current entry's next data byte will stand.
  public var position: Int64 { flushed + Int64(buffer.count) }

  /// Writes the headers of `entry`; returns the offset in the archive where its data begin.
  /// Throws if the entry before lacks data.
  @discardableResult
  public func begin(_ entry: TarEntry) throws -> Int64 {
    try endEntry()
    if buffer.count + 4 * TarHeader.blockSize > buffer.capacity { try flush() }
    let start = position
    try TarHeader.append(entry, to: buffer)
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
      if buffer.count >= TarWriter.bufferSize { try flush() }
      // One byte more than is wanted tells whether there is more, without another call.
      let room = Int(min(Int64(TarWriter.bufferSize - buffer.count), remaining + 1))
      let count = try read(buffer.room(room))
      guard Int64(count) <= remaining else { throw changed() }
      buffer.advance(count)
      remaining -= Int64(count)
      if count < room { break }
    }
    if remaining > 0 { throw changed() }
  }

  /// Writes the end of the archive; returns the SHA-256 and the size of the whole. The writer is used up.
  public func finish() throws -> (diffID: Digest, size: Int64) {
    try endEntry()
    buffer.appendZeros(2 * TarHeader.blockSize)
    try flush()
    return (hasher.digest(), flushed)
  }

  private func endEntry() throws {
    guard let entry else { return }
    if remaining > 0 { throw changed() }
    if entry.kind == .regular {
      let padding = TarHeader.padding(entry.size)
      buffer.appendZeros(padding)
    }
    self.entry = nil
  }

  private func changed() -> Failure {
    Failure("read \(entry?.path.absolute ?? "data")", "file changed while it was read")
  }

  private func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      if buffer.count >= TarWriter.bufferSize { try flush() }
      let count = min(rest.count, TarWriter.bufferSize - buffer.count)
      buffer.append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  private func flush() throws {
    if buffer.count == 0 { return }
    let full = buffer
    buffer = TarBuffer(capacity: TarWriter.bufferSize + 4096)
    try push(full)
  }

  /// Hashes and writes `piece`, which is not changed any more.
  private func push(_ piece: TarBuffer) throws {
    hasher.update(piece)
    try sink.write(piece.bytes)
    flushed += Int64(piece.count)
  }

  /// Members, or parts of them, that were put together elsewhere: `bytes` go into the archive as they are.
  struct Assembled: Sendable {
    /// A member that begins in the bytes, and where its headers and its data do.
    struct Member: Sendable {
      var entry: TarEntry
      var header: Int
      var data: Int
    }

    let bytes: TarBuffer
    var members: [Member] = []

    /// Adds the headers of `entry`.
    mutating func begin(_ entry: TarEntry) throws {
      let header = bytes.count
      try TarHeader.append(entry, to: bytes)
      members.append(Member(entry: entry, header: header, data: bytes.count))
    }
  }

  /// Adds `piece`. Between `begin` and the end of its data nothing can be added this way.
  func append(_ piece: Assembled) throws {
    try endEntry()
    try flush()
    if let observer {
      for member: Assembled.Member in piece.members {
        observer(
          TarMember(
            entry: member.entry, headerOffset: flushed + Int64(member.header),
            dataOffset: flushed + Int64(member.data),
            storedSize: member.entry.kind == .regular ? member.entry.size : 0, extents: nil))
      }
    }
    try push(piece.bytes)
  }
}
