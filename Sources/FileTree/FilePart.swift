internal import Core
public import Linux

/// The bytes of a regular file of a tree: a whole file of the host, a range of one (a member of a tar), or for a sparse
/// member several ranges with holes between them. Read by offset: the host file's position is neither used nor moved.
public struct FilePart: Sendable {
  /// A range of `file` and where it stands in the part.
  public struct Piece: Sendable, Equatable {
    /// Its first byte in the part.
    public var offset: Int64
    /// Its first byte in `file`.
    public var position: Int64
    public var length: Int64

    public init(offset: Int64, position: Int64, length: Int64) {
      self.offset = offset
      self.position = position
      self.length = length
    }
  }

  /// The file of the host.
  public let file: OpenFile
  /// Bytes of the part; nil if it is all of `file`, however much that is.
  public let length: Int64?
  /// What is not zero, in ascending order, within `length`; empty if the part is all of `file`.
  public let pieces: [Piece]

  /// All of `file`.
  public init(_ file: OpenFile) {
    self.file = file
    length = nil
    pieces = []
  }

  /// The `length` bytes of `file` from `offset`.
  public init(_ file: OpenFile, offset: Int64, length: Int64) {
    self.init(file, length: length, pieces: [Piece(offset: 0, position: offset, length: length)])
  }

  /// `length` bytes that are zeros except for `pieces`, which ascend, don't overlap and lie within.
  public init(_ file: OpenFile, length: Int64, pieces: [Piece]) {
    self.file = file
    self.length = length
    self.pieces = pieces
  }

  /// Where in `file` the part stands as one range; nil if it has holes. A whole file is the range from 0.
  public var start: Int64? {
    guard let length else { return 0 }
    if length == 0 { return 0 }
    guard pieces.count == 1, pieces[0].offset == 0, pieces[0].length == length else { return nil }
    return pieces[0].position
  }

  /// The `count` bytes from `offset` of this part, which must have them.
  public func slice(from offset: Int64, count: Int64) -> FilePart {
    if length == nil { return FilePart(file, offset: offset, length: count) }
    let inner = pieces.compactMap { piece -> Piece? in
      let from = max(piece.offset, offset)
      let to = min(piece.offset + piece.length, offset + count)
      if from >= to { return nil }
      return Piece(offset: from - offset, position: piece.position + (from - piece.offset), length: to - from)
    }
    return FilePart(file, length: count, pieces: inner)
  }

  /// Reads at `offset` of the part; 0 at its end. Throws if `file` ends before the part does.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    guard let length else { return try file.read(into: buffer, at: offset) }
    let room = Int(clamping: min(Int64(buffer.count), length - offset))
    if room <= 0 { return 0 }
    let next = firstPiece(endingAfter: offset)
    guard let next, next.offset < offset + Int64(room) else { return zeros(buffer, room) }
    if next.offset > offset { return zeros(buffer, Int(next.offset - offset)) }
    let count = Int(min(Int64(room), next.offset + next.length - offset))
    let read = try file.read(
      into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: next.position + (offset - next.offset))
    if read == 0 { throw Failure("read \(file.path)", "it ends before the data of a file in it") }
    return read
  }

  /// The first piece with bytes beyond `offset`, by halving.
  private func firstPiece(endingAfter offset: Int64) -> Piece? {
    var low = 0
    var high = pieces.count
    while low < high {
      let middle = (low + high) / 2
      if pieces[middle].offset + pieces[middle].length <= offset { low = middle + 1 } else { high = middle }
    }
    return low < pieces.count ? pieces[low] : nil
  }

  private func zeros(_ buffer: UnsafeMutableRawBufferPointer, _ count: Int) -> Int {
    UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).initializeMemory(as: UInt8.self, repeating: 0)
    return count
  }

  /// All of it, from its start on.
  public func source() -> ByteSource {
    if let start { return FileSource(file, offset: start, length: length) }
    var at: Int64 = 0
    return ClosureSource { buffer in
      let count = try read(into: buffer, at: at)
      at += Int64(count)
      return count
    }
  }

  /// All bytes; throws a `Failure` when there are more than `limit`.
  public func readAll(limit: Int = 1 << 30) throws -> [UInt8] {
    guard let bytes = try source().bytes(limit: limit) else {
      throw Failure("read \(file.path)", "larger than \(limit) bytes")
    }
    return bytes
  }
}
