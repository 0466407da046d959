internal import CArchive
internal import Core
internal import Linux

/// The functions of libarchive that undo a compression, bound on first use.
struct Libarchive: @unchecked Sendable {
  /// Callbacks of archive_read_open(3): for opening and closing, and for the next bytes.
  typealias Opened = @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32
  typealias Reader =
    @convention(c) (
      OpaquePointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafeRawPointer?>?
    ) -> Int

  let readNew: @convention(c) () -> OpaquePointer?
  let readFree: @convention(c) (OpaquePointer?) -> Int32
  let supportFormatRaw: @convention(c) (OpaquePointer?) -> Int32
  let supportFilters: [@convention(c) (OpaquePointer?) -> Int32]
  let open:
    @convention(c) (
      OpaquePointer?, UnsafeMutableRawPointer?, Opened?, Reader?, Opened?
    ) -> Int32
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
    open = try library.symbol("archive_read_open")
    nextHeader = try library.symbol("archive_read_next_header")
    readData = try library.symbol("archive_read_data")
    errorString = try library.symbol("archive_error_string")
  }

  private static let shared = Result { try Libarchive() }

  /// The library; throws a `Failure` if it is missing.
  static func bound() throws -> Libarchive { try shared.get() }
}

/// The plain bytes of a source that is compressed with bzip2 or xz, through libarchive.
final class FilteredSource: ByteSource {
  private let library: Libarchive
  private let archive: OpaquePointer
  private let feed: Feed
  private let name: String

  /// `name` is what failures call it.
  init(_ source: ByteSource, _ name: String) throws {
    self.name = name
    feed = Feed(source)
    library = try Libarchive.bound()
    guard let archive = library.readNew() else { throw Failure("decompress \(name)", "out of memory") }
    self.archive = archive
    _ = library.supportFormatRaw(archive)
    for support in library.supportFilters { _ = support(archive) }
    let read: Libarchive.Reader = { _, client, bytes in
      guard let client, let bytes else { return -1 }
      let feed = Unmanaged<Feed>.fromOpaque(client).takeUnretainedValue()
      bytes.pointee = UnsafeRawPointer(feed.buffer.baseAddress)
      return feed.next()
    }
    var entry: OpaquePointer?
    // `feed` lives as long as `archive`: both go with self.
    guard library.open(archive, Unmanaged.passUnretained(feed).toOpaque(), nil, read, nil) == ARCHIVE_OK,
      library.nextHeader(archive, &entry) == ARCHIVE_OK
    else { throw failure() }
  }

  deinit { _ = library.readFree(archive) }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = library.readData(archive, buffer.baseAddress, buffer.count)
    guard count >= 0 else { throw failure() }
    return count
  }

  private func failure() -> any Error {
    if let error = feed.error { return error }
    let reason = library.errorString(archive).map { String(cString: $0).lowercased() } ?? "it is malformed"
    return Failure("decompress \(name)", reason)
  }

  /// What libarchive reads from.
  private final class Feed {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 131_072, alignment: 64)
    /// Why the source could not be read.
    private(set) var error: (any Error)?
    private let source: ByteSource

    init(_ source: ByteSource) { self.source = source }

    deinit { buffer.deallocate() }

    /// Reads the next bytes into `buffer`; how many, 0 at the end, -1 for an error.
    func next() -> Int {
      do {
        return try source.read(into: buffer)
      } catch {
        self.error = error
        return -1
      }
    }
  }
}
