import Core
import FileTree
import Foundation
import Linux
import Testing

@Suite struct CompressionTests {
  /// About 5 MB that compress a little: several blocks for every encoder.
  static let sample: [UInt8] = {
    var state: UInt64 = 42
    var out: [UInt8] = []
    for i in 0..<700_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      out.append(contentsOf: [UInt8(truncatingIfNeeded: state >> 60), UInt8(truncatingIfNeeded: i >> 6), 7, 7, 7, 7, 7])
    }
    return out
  }()

  static func compress(
    _ bytes: [UInt8], _ compression: Compression, level: Int? = nil, threads: Int? = nil, piece: Int = 1 << 30
  ) throws -> [UInt8] {
    let sink = MemorySink()
    let compressor = try Compressor(compression, into: sink, level: level, threads: threads)
    for start in stride(from: 0, to: bytes.count, by: piece) {
      try compressor.write(Array(bytes[start..<min(bytes.count, start + piece)]))
    }
    try compressor.finish()
    return sink.bytes
  }

  static func decompress(_ bytes: [UInt8], _ compression: Compression? = nil) throws -> [UInt8] {
    try #require(try Decompressor(MemorySource(bytes), compression).bytes(limit: 1 << 30))
  }

  @Test(arguments: Compression.allCases) func roundTrips(_ compression: Compression) throws {
    for bytes in [[], [1], Self.sample, Array(Self.sample.prefix(1 << 20)), Array(Self.sample.prefix(1 + 1 << 20))] {
      let packed = try Self.compress(bytes, compression)
      #expect(Compression(firstBytes: packed) == compression || bytes.count < 4)
      #expect(try Self.decompress(packed, compression) == bytes)
    }
  }

  @Test(arguments: [Compression.gzip, .zstd]) func bytesDependOnTheInputAlone(_ compression: Compression) throws {
    let one = try Self.compress(Self.sample, compression, threads: 1)
    for threads in [2, 3, 8] { #expect(try Self.compress(Self.sample, compression, threads: threads) == one) }
    let fast = try Self.compress(Self.sample, compression, level: 1, threads: 1)
    for threads in [2, 8] {
      #expect(try Self.compress(Self.sample, compression, level: 1, threads: threads, piece: 77_777) == fast)
    }
    #expect(try Self.compress(Self.sample, compression, threads: 8, piece: 100_001) == one)
    #expect(try Self.compress(Self.sample, compression, level: 1) != one)
    #expect(one.count < Self.sample.count / 2)
  }

  @Test(arguments: [0, 1, 2, 9]) func everyGzipLevelIsSound(_ level: Int) throws {
    var state: UInt64 = 1
    let noise: [UInt8] = (0..<(3 << 20)).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
    for bytes in [[], Self.sample, noise, Array(noise.prefix(70_000)), [UInt8](repeating: 0, count: 2 << 20)] {
      let packed = try Self.compress(bytes, .gzip, level: level, threads: 3)
      #expect(packed == (try Self.compress(bytes, .gzip, level: level, threads: 1, piece: 99_999)))
      #expect(packed.count < bytes.count + bytes.count / 100 + 100)
      #expect(try Self.decompress(packed) == bytes)
      if let path = which("gzip") { #expect(try run([path, "-dc"], input: packed) == bytes) }
    }
  }

  @Test func otherProgramsReadIt() throws {
    for (compression, program) in [(Compression.gzip, "gzip"), (.zstd, "zstd")] {
      guard let path = which(program) else { continue }
      let packed = try Self.compress(Self.sample, compression)
      #expect(try run([path, "-dc"], input: packed) == Self.sample)
      #expect(try Self.decompress(run([path, "-c"], input: Self.sample)) == Self.sample)
    }
  }

  @Test(arguments: [Compression.gzip, .zstd]) func severalFramesAreOneStream(_ compression: Compression) throws {
    let parts = try [[1, 2, 3], [], Self.sample].map { try Self.compress($0, compression) }
    #expect(try Self.decompress(Array(parts.joined())) == [1, 2, 3] + Self.sample)
  }

  @Test func gzipMayBePaddedWithZeros() throws {
    let packed = try Self.compress([1, 2, 3], .gzip)
    #expect(try Self.decompress(packed + [UInt8](repeating: 0, count: 300_000)) == [1, 2, 3])
    #expect(throws: Failure.self) { try Self.decompress(packed + [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) }
  }

  @Test(arguments: [Compression.gzip, .zstd]) func truncationFails(_ compression: Compression) throws {
    let packed = try Self.compress(Array(Self.sample.prefix(3000)), compression)
    for length in 4..<packed.count {
      #expect(throws: Failure.self, "\(length)") { try Self.decompress(Array(packed[..<length])) }
    }
  }

  @Test(arguments: [Compression.gzip, .zstd]) func damageFails(_ compression: Compression) throws {
    let packed = try Self.compress(Self.sample, compression)
    for at in [packed.count / 3, packed.count - 6, packed.count - 2] {
      var bytes = packed
      bytes[at] ^= 0x10
      #expect(throws: Failure.self, "\(at)") { try Self.decompress(bytes) }
    }
  }

  @Test func levelsAreVerified() throws {
    let failure = Failure("compress gzip", "level 12 is not between 0 and 9")
    #expect(throws: failure) { try Compressor(.gzip, into: MemorySink(), level: 12) }
  }
}

/// The path of `program`, nil if it is not installed.
func which(_ program: String) -> String? {
  ["/usr/bin/", "/bin/"].map { $0 + program }.first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// Runs `command` and returns its standard output; throws if it fails.
@discardableResult
func run(_ command: [String], input: [UInt8] = [], in directory: String? = nil) throws -> [UInt8] {
  let folder = try temporaryDirectory()
  defer { try? HostPath.removeTree(folder) }
  try HostPath.write(input, to: folder + "/in")
  let process = Process()
  process.executableURL = URL(fileURLWithPath: command[0])
  process.arguments = Array(command.dropFirst())
  if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
  process.standardInput = FileHandle(forReadingAtPath: folder + "/in")
  try HostPath.write([], to: folder + "/out")
  process.standardOutput = FileHandle(forWritingAtPath: folder + "/out")
  try process.run()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw Failure(command.joined(separator: " "), "exit code \(process.terminationStatus)")
  }
  return try HostPath.read(folder + "/out")
}

/// A new directory of the host for one test.
func temporaryDirectory() throws -> String { try HostPath.makeTemporaryDirectory("/var/tmp/stave-test-") }

@Suite struct ReadAheadTests {
  @Test func givesTheSameBytes() throws {
    let packed = try CompressionTests.compress(CompressionTests.sample, .gzip)
    let source = ReadAheadSource(try Decompressor(MemorySource(packed)))
    #expect(try source.bytes(limit: 1 << 30) == CompressionTests.sample)
    #expect(try source.bytes(limit: 1) == [])
  }

  @Test func errorsComeAfterTheBytesBeforeThem() throws {
    var left = 1_000_000
    let source = ReadAheadSource(
      ClosureSource { buffer in
        if left == 0 { throw Failure("read x", "gone") }
        let count = min(left, buffer.count, 1000)
        left -= count
        return count
      })
    var read = 0
    #expect(throws: Failure("read x", "gone")) {
      var chunk = [UInt8](repeating: 0, count: 7777)
      while true {
        let count = try chunk.withUnsafeMutableBytes { try source.read(into: $0) }
        if count == 0 { break }
        read += count
      }
    }
    #expect(read == 1_000_000)
  }

  @Test func mayBeDroppedEarly() throws {
    for _ in 0..<50 {
      let source = ReadAheadSource(ClosureSource { $0.count })
      var byte: [UInt8] = [0]
      #expect(try byte.withUnsafeMutableBytes { try source.read(into: $0) } == 1)
    }
  }
}
