internal import CZlib
internal import Core
internal import Linux

/// The functions of zlib, bound on first use.
struct Zlib: @unchecked Sendable {
  typealias Stream = UnsafeMutablePointer<z_stream>
  let inflateInit2: @convention(c) (Stream?, Int32, UnsafePointer<CChar>?, Int32) -> Int32
  let inflate: @convention(c) (Stream?, Int32) -> Int32
  let inflateReset: @convention(c) (Stream?) -> Int32
  let inflateEnd: @convention(c) (Stream?) -> Int32
  let deflateInit2: @convention(c) (Stream?, Int32, Int32, Int32, Int32, Int32, UnsafePointer<CChar>?, Int32) -> Int32
  let deflateSetDictionary: @convention(c) (Stream?, UnsafePointer<UInt8>?, UInt32) -> Int32
  let deflateBound: @convention(c) (Stream?, UInt) -> UInt
  let deflate: @convention(c) (Stream?, Int32) -> Int32
  let deflateEnd: @convention(c) (Stream?) -> Int32
  let crc32: @convention(c) (UInt, UnsafePointer<UInt8>?, UInt32) -> UInt
  let crc32Combine: @convention(c) (UInt, UInt, Int) -> UInt

  private init() throws {
    let library = try DynamicLibrary("libz.so.1", package: "zlib1g")
    inflateInit2 = try library.symbol("inflateInit2_")
    inflate = try library.symbol("inflate")
    inflateReset = try library.symbol("inflateReset")
    inflateEnd = try library.symbol("inflateEnd")
    deflateInit2 = try library.symbol("deflateInit2_")
    deflateSetDictionary = try library.symbol("deflateSetDictionary")
    deflateBound = try library.symbol("deflateBound")
    deflate = try library.symbol("deflate")
    deflateEnd = try library.symbol("deflateEnd")
    crc32 = try library.symbol("crc32")
    crc32Combine = try library.symbol("crc32_combine")
  }

  private static let shared = Result { try Zlib() }

  /// The library; throws a `Failure` if it is missing.
  static func bound() throws -> Zlib { try shared.get() }

  /// The raw deflate stream of `block`, which may refer to `dictionary`: ended if `isLast`, otherwise at a byte
  /// boundary where the next block's stream can follow.
  func deflate(
    _ block: UnsafeRawBufferPointer, dictionary: UnsafeRawBufferPointer, level: Int32, isLast: Bool
  ) throws -> [UInt8] {
    let stream = Stream.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    defer { stream.deallocate() }
    try verify(
      deflateInit2(
        stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)))
    defer { _ = deflateEnd(stream) }
    if !dictionary.isEmpty {
      let bytes = dictionary.bindMemory(to: UInt8.self)
      try verify(deflateSetDictionary(stream, bytes.baseAddress, UInt32(bytes.count)))
    }
    let bound = Int(deflateBound(stream, UInt(block.count))) + 64
    return try [UInt8](unsafeUninitializedCapacity: bound) { out, count in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: block.bindMemory(to: UInt8.self).baseAddress)
      stream.pointee.avail_in = UInt32(block.count)
      stream.pointee.next_out = out.baseAddress
      stream.pointee.avail_out = UInt32(bound)
      let result = deflate(stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
      guard result == (isLast ? Z_STREAM_END : Z_OK), stream.pointee.avail_in == 0, stream.pointee.avail_out > 0 else {
        throw Failure("compress gzip", "zlib error \(result)")
      }
      count = bound - Int(stream.pointee.avail_out)
    }
  }

  private func verify(_ result: Int32) throws {
    guard result == Z_OK else { throw Failure("compress gzip", "zlib error \(result)") }
  }
}

/// Inflates gzip members through zlib.
final class ZlibDecoder: FrameDecoder {
  private let zlib: Zlib
  private let stream: Zlib.Stream

  init() throws {
    zlib = try Zlib.bound()
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 16 is for the gzip wrapper.
    let result = zlib.inflateInit2(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard result == Z_OK else {
      stream.deallocate()
      throw Failure("decompress gzip", "zlib error \(result)")
    }
  }

  deinit {
    _ = zlib.inflateEnd(stream)
    stream.deallocate()
  }

  func reset() throws {
    guard zlib.inflateReset(stream) == Z_OK else { throw Failure("decompress gzip", "zlib can't start again") }
  }

  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws -> (consumed: Int, produced: Int, isComplete: Bool) {
    let inputCount = clamp(input.count)
    let outputCount = clamp(output.count)
    stream.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
    stream.pointee.avail_in = inputCount
    stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
    stream.pointee.avail_out = outputCount
    let result = zlib.inflate(stream, Z_NO_FLUSH)
    // Z_BUF_ERROR: nothing could be done with this much input, which is no error yet.
    guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(result)"
      throw Failure("decompress gzip", reason)
    }
    return (
      Int(inputCount - stream.pointee.avail_in), Int(outputCount - stream.pointee.avail_out), result == Z_STREAM_END
    )
  }
}
