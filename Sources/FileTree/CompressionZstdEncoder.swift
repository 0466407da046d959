internal import CZstd
internal import Core

/// Makes one zstd frame through libzstd's own threads, whose output does not depend on their number.
final class ZstdEncoder: StreamEncoder {
  private let sink: ByteSink
  private let zstd: Zstd
  private let context: OpaquePointer
  private let output: UnsafeMutableRawBufferPointer

  init(_ sink: ByteSink, level: Int32, width: Int) throws {
    self.sink = sink
    zstd = try Zstd.bound()
    guard let context = zstd.createCCtx() else { throw Failure("compress zstd", "out of memory") }
    self.context = context
    output = .allocate(byteCount: 262_144, alignment: 4096)
    _ = try set(ZSTD_c_compressionLevel, level)
    _ = try set(ZSTD_c_checksumFlag, 1)
    // Always at least one worker: the single-threaded path makes other bytes. The job size is fixed for the same
    // reason.
    _ = try set(ZSTD_c_nbWorkers, Int32(max(1, min(width, 64))))
    _ = try set(ZSTD_c_jobSize, 4 << 20)
  }

  deinit {
    _ = zstd.freeCCtx(context)
    output.deallocate()
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var source = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    while source.pos < source.size { _ = try step(&source, ZSTD_e_continue) }
  }

  func finish() throws {
    var source = ZSTD_inBuffer(src: nil, size: 0, pos: 0)
    while try step(&source, ZSTD_e_end) != 0 {}
  }

  private func step(_ source: inout ZSTD_inBuffer, _ directive: ZSTD_EndDirective) throws -> Int {
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let rest = try zstd.verify(zstd.compressStream2(context, &target, &source, directive), "compress zstd")
    if target.pos > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: output[..<target.pos])) }
    return rest
  }

  private func set(_ parameter: ZSTD_cParameter, _ value: Int32) throws -> Int {
    try zstd.verify(zstd.setParameter(context, parameter, value), "compress zstd")
  }
}
