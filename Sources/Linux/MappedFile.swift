internal import Glibc

/// A file's bytes in memory as the page cache has them, read-only, for as long as this object lives (mmap(2)).
///
/// For files that are never written again once they have their name: one that was cut under a mapping ends the process.
public final class MappedFile: @unchecked Sendable {
  /// All bytes of the file. Valid as long as `self` lives.
  public let bytes: UnsafeRawBufferPointer
  /// The path for messages.
  public let path: String

  /// Maps all of `file`. Throws a `SystemError`.
  public init(_ file: OpenFile) throws {
    path = file.path
    let size = Int(clamping: try file.status().size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let start, start != MAP_FAILED else { throw SystemError.last("map \(file.path)") }
    bytes = UnsafeRawBufferPointer(start: start, count: size)
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }
}
