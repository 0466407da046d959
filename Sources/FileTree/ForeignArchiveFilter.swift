internal import CArchive
internal import Core
internal import Linux

/// The functions of libarchive that undo a compression, bound on first use.
struct Libarchive: @unchecked Sendable {
  let readNew: @convention(c) () -> OpaquePointer?
  let readFree: @convention(c) (OpaquePointer?) -> Int32
  let supportFormatRaw: @convention(c) (OpaquePointer?) -> Int32
  let supportFilters: [@convention(c) (OpaquePointer?) -> Int32]
  let openDescriptor: @convention(c) (OpaquePointer?, Int32, Int) -> Int32
  let nextHeader: @convention(c) (OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?) -> Int32
  let readData: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?, Int) -> Int
  let errorString: @convention(c) (OpaquePointer?) -> UnsafePointer<CChar>?

  private init() throws {
    let library = try DynamicLibrary("libarchive.so.13", package: "libarchive13")
    readNew = try library.symbol("archive_read_new")
    readFree = try library.symbol("archive_read_free")
    supportFormatRaw = try library.symbol("archive_read_support_format_raw")
    supportFilters = [
      try library.symbol("archive_read_support_filter_bzip2"), try library.symbol("archive_read_support_filter_xz"),
    ]
    openDescriptor = try library.symbol("archive_read_open_fd")
    nextHeader = try library.symbol("archive_read_next_header")
    readData = try library.symbol("archive_read_data")
    errorString = try library.symbol("archive_error_string")
  }

  private static let shared = Result { try Libarchive() }

  /// The library; throws a `Failure` if it is missing.
  static func bound() throws -> Libarchive { try shared.get() }
}

/// The plain bytes of a file that is compressed with bzip2 or xz, through libarchive.
final class FilteredSource: ByteSource {
  private let library: Libarchive
  private let archive: OpaquePointer
  private let file: OpenFile

  init(_ file: OpenFile) throws {
    self.file = file
    library = try Libarchive.bound()
    try file.seek(to: 0)
    guard let archive = library.readNew() else { throw Failure("decompress \(file.path)", "out of memory") }
    self.archive = archive
    _ = library.supportFormatRaw(archive)
    for support in library.supportFilters { _ = support(archive) }
    var entry: OpaquePointer?
    guard library.openDescriptor(archive, file.descriptor, 131_072) == ARCHIVE_OK,
      library.nextHeader(archive, &entry) == ARCHIVE_OK
    else { throw failure() }
  }

  deinit { _ = library.readFree(archive) }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = library.readData(archive, buffer.baseAddress, buffer.count)
    guard count >= 0 else { throw failure() }
    return count
  }

  private func failure() -> Failure {
    let reason = library.errorString(archive).map { String(cString: $0).lowercased() } ?? "it is malformed"
    return Failure("decompress \(file.path)", reason)
  }
}
