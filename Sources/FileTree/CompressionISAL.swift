internal import CISAL
internal import Core
internal import Linux

/// The functions of ISA-L, bound on first use.
struct ISAL: @unchecked Sendable {
  typealias State = UnsafeMutablePointer<inflate_state>
  let inflateInit: @convention(c) (State?) -> Void
  let inflateReset: @convention(c) (State?) -> Void
  let inflate: @convention(c) (State?) -> Int32
  typealias Stream = UnsafeMutablePointer<isal_zstream>
  let deflateInit: @convention(c) (Stream?) -> Void
  let deflateSetDictionary: @convention(c) (Stream?, UnsafeMutablePointer<UInt8>?, UInt32) -> Int32
  let deflate: @convention(c) (Stream?) -> Int32

  private init() throws {
    let library = try DynamicLibrary("libisal.so.2", package: "libisal2")
    inflateInit = try library.symbol("isal_inflate_init")
    inflateReset = try library.symbol("isal_inflate_reset")
    inflate = try library.symbol("isal_inflate")
    deflateInit = try library.symbol("isal_deflate_init")
    deflateSetDictionary = try library.symbol("isal_deflate_set_dict")
    deflate = try library.symbol("isal_deflate")
  }

  private static let shared = Result { try ISAL() }

  /// The library, nil if it is missing: zlib does the same more slowly.
  static func ifInstalled() -> ISAL? { try? shared.get() }

  /// As `Zlib.deflate`, with the levels 1 and 2 of ISA-L. The bytes also depend on the processor's kind.
  func deflate(
    _ block: UnsafeRawBufferPointer, dictionary: UnsafeRawBufferPointer, level: Int32, isLast: Bool
  ) throws -> [UInt8] {
    let stream = Stream.allocate(capacity: 1)
    let levelBuffer = UnsafeMutablePointer<UInt8>.allocate(capacity: ISAL.levelBufferSize)
    defer {
      levelBuffer.deallocate()
      stream.deallocate()
    }
    deflateInit(stream)
    stream.pointee.level = UInt32(level)
    stream.pointee.level_buf = levelBuffer
    stream.pointee.level_buf_size = UInt32(ISAL.levelBufferSize)
    if !dictionary.isEmpty {
      let bytes = UnsafeMutablePointer(mutating: dictionary.bindMemory(to: UInt8.self).baseAddress)
      guard deflateSetDictionary(stream, bytes, UInt32(dictionary.count)) == COMP_OK else {
        throw Failure("compress gzip", "ISA-L refused a dictionary")
      }
    }
    stream.pointee.next_in = UnsafeMutablePointer(mutating: block.bindMemory(to: UInt8.self).baseAddress)
    stream.pointee.avail_in = UInt32(block.count)
    stream.pointee.end_of_stream = isLast ? 1 : 0
    stream.pointee.flush = UInt16(isLast ? NO_FLUSH : SYNC_FLUSH)
    // What does not compress grows by block headers; a quarter is far above that.
    let bound = block.count + block.count / 4 + 65536
    return try [UInt8](unsafeUninitializedCapacity: bound) { out, count in
      stream.pointee.next_out = out.baseAddress
      stream.pointee.avail_out = UInt32(bound)
      let result = deflate(stream)
      guard result == COMP_OK, stream.pointee.avail_in == 0, stream.pointee.avail_out > 0 else {
        throw Failure("compress gzip", "ISA-L error \(result)")
      }
      count = bound - Int(stream.pointee.avail_out)
    }
  }

  /// Room for the largest level buffer that levels 1 and 2 use (`ISAL_DEF_LVL2_LARGE`, a macro with a cast), and more.
  private static let levelBufferSize = 1 << 20
}

/// Inflates gzip members through ISA-L, several times as fast as zlib.
final class ISALDecoder: FrameDecoder {
  private let isal: ISAL
  private let state: ISAL.State

  private init(_ isal: ISAL) {
    self.isal = isal
    state = .allocate(capacity: 1)
    isal.inflateInit(state)
    state.pointee.crc_flag = UInt32(ISAL_GZIP)
  }

  /// A decoder, or nil if the library is missing.
  static func ifInstalled() -> ISALDecoder? { ISAL.ifInstalled().map { ISALDecoder($0) } }

  deinit { state.deallocate() }

  func reset() {
    isal.inflateReset(state)
    state.pointee.crc_flag = UInt32(ISAL_GZIP)
  }

  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws -> (consumed: Int, produced: Int, isComplete: Bool) {
    let inputCount = clamp(input.count)
    let outputCount = clamp(output.count)
    state.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
    state.pointee.avail_in = inputCount
    state.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
    state.pointee.avail_out = outputCount
    let result = isal.inflate(state)
    guard result == ISAL_DECOMP_OK || result == ISAL_END_INPUT else {
      throw Failure("decompress gzip", ISALDecoder.reason(result))
    }
    let consumed = Int(inputCount) - Int(state.pointee.avail_in)
    guard consumed >= 0 else { throw Failure("decompress gzip", "it is malformed") }
    return (consumed, Int(outputCount - state.pointee.avail_out), state.pointee.block_state == ISAL_BLOCK_FINISH)
  }

  private static func reason(_ result: Int32) -> String {
    switch result {
    case ISAL_INCORRECT_CHECKSUM: "its checksum is wrong"
    case ISAL_INVALID_WRAPPER: "its header is malformed"
    case ISAL_UNSUPPORTED_METHOD: "unknown compression method"
    default: "it is malformed"
    }
  }
}
