internal import CZstd
internal import Core
internal import Linux

/// The functions of libzstd, bound on first use.
struct Zstd: @unchecked Sendable {
  let createDCtx: @convention(c) () -> OpaquePointer?
  let freeDCtx: @convention(c) (OpaquePointer?) -> Int
  let decompressStream:
    @convention(c) (OpaquePointer?, UnsafeMutablePointer<ZSTD_outBuffer>?, UnsafeMutablePointer<ZSTD_inBuffer>?) -> Int
  let createCCtx: @convention(c) () -> OpaquePointer?
  let freeCCtx: @convention(c) (OpaquePointer?) -> Int
  let setParameter: @convention(c) (OpaquePointer?, ZSTD_cParameter, Int32) -> Int
  let compressStream2:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<ZSTD_outBuffer>?, UnsafeMutablePointer<ZSTD_inBuffer>?, ZSTD_EndDirective
    ) -> Int
  let isError: @convention(c) (Int) -> UInt32
  let errorName: @convention(c) (Int) -> UnsafePointer<CChar>?

  private init() throws {
    let library = try DynamicLibrary("libzstd.so.1", package: "libzstd1")
    createDCtx = try library.symbol("ZSTD_createDCtx")
    freeDCtx = try library.symbol("ZSTD_freeDCtx")
    decompressStream = try library.symbol("ZSTD_decompressStream")
    createCCtx = try library.symbol("ZSTD_createCCtx")
    freeCCtx = try library.symbol("ZSTD_freeCCtx")
    setParameter = try library.symbol("ZSTD_CCtx_setParameter")
    compressStream2 = try library.symbol("ZSTD_compressStream2")
    isError = try library.symbol("ZSTD_isError")
    errorName = try library.symbol("ZSTD_getErrorName")
  }

  private static let shared = Result { try Zstd() }

  /// The library; throws a `Failure` if it is missing.
  static func bound() throws -> Zstd { try shared.get() }

  /// `result`, unless it is an error of the action `action`.
  func verify(_ result: Int, _ action: String) throws -> Int {
    guard isError(result) == 0 else {
      throw Failure(action, errorName(result).map { String(cString: $0).lowercased() } ?? "unknown error")
    }
    return result
  }
}

/// Decompresses zstd frames.
final class ZstdDecoder: FrameDecoder {
  private let zstd: Zstd
  private let context: OpaquePointer

  init() throws {
    zstd = try Zstd.bound()
    guard let context = zstd.createDCtx() else { throw Failure("decompress zstd", "out of memory") }
    self.context = context
  }

  deinit { _ = zstd.freeDCtx(context) }

  // The library starts a new frame by itself.
  func reset() {}

  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws -> (consumed: Int, produced: Int, isComplete: Bool) {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let rest = try zstd.verify(zstd.decompressStream(context, &target, &source), "decompress zstd")
    return (source.pos, target.pos, rest == 0)
  }
}
