internal import Core

/// The bytes of one request on their way out.
struct RequestContent {
  /// Bytes in all; nil: unknown.
  let length: Int64?
  /// Whether any were asked for.
  private(set) var isStarted = false
  /// Whether all are out.
  private(set) var isFinished = false
  private var done: Int64 = 0
  private let body: HTTPBody
  private var reader: ((UnsafeMutableRawBufferPointer) throws -> Int)?

  init(_ body: HTTPBody) {
    self.body = body
    switch body {
    case .none: length = 0
    case .bytes(let bytes): length = Int64(bytes.count)
    case .stream(let length, _): self.length = length
    }
  }

  /// Puts the next bytes into `buffer` and says how many, 0 at the end. A stream that has less than it promised is a
  /// `Failure`: the server would wait for the rest.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    isStarted = true
    let room = length.map { Int(min(Int64(buffer.count), $0 - done)) } ?? buffer.count
    let place = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(room))
    var count = 0
    if room > 0 {
      switch body {
      case .none: break
      case .bytes(let bytes):
        count = room
        bytes.withUnsafeBytes { bytes in
          place.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.dropFirst(Int(done)).prefix(room)))
        }
      case .stream(_, let open):
        if reader == nil { reader = try open() }
        count = try reader?(place) ?? 0
      }
    }
    done += Int64(count)
    if let length {
      if count == 0, done < length { throw Failure("send content", "it ends after \(done) of \(length) bytes") }
      isFinished = done == length
    } else {
      isFinished = count == 0
    }
    return count
  }
}
