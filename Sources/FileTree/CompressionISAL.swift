internal import CISAL
internal import Core
internal import Linux

/// The functions of ISA-L, bound on first use.
struct ISAL: @unchecked Sendable {
  typealias State = UnsafeMutablePointer<inflate_state>
  let inflateInit: @convention(c) (State?) -> Void
  let inflateReset: @convention(c) (State?) -> Void
  let inflate: @convention(c) (State?) -> Int32

  private init() throws {
    let library = try DynamicLibrary("libisal.so.2", package: "libisal2")
    inflateInit = try library.symbol("isal_inflate_init")
    inflateReset = try library.symbol("isal_inflate_reset")
    inflate = try library.symbol("isal_inflate")
  }

  private static let shared = Result { try ISAL() }

  /// The library, nil if it is missing: zlib does the same more slowly.
  static func ifInstalled() -> ISAL? { try? shared.get() }
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
