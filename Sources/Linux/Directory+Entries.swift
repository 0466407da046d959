internal import CLinux
internal import Glibc

extension Directory {
  /// What a directory says of an entry's kind without looking at the entry (getdents64(2)).
  enum EntryKind { case directory, other, unknown }

  /// Calls `body` with each name in this directory, without `.` and `..`, in the file system's order.
  func forEachEntry(_ body: ([UInt8], EntryKind) throws -> Void) throws {
    // A descriptor of its own, so that any number of readers begin at the beginning.
    let fd = try check("open \(path)") { stave_openat(file.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
    defer { close(fd) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32768, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let size = try check("read \(path)") { stave_getdents(fd, buffer.baseAddress, buffer.count) }
      if size == 0 { return }
      var record = UnsafeRawBufferPointer(rebasing: buffer[..<size])
      while record.count > 19 {
        let length = Int(record.loadUnaligned(fromByteOffset: 16, as: UInt16.self))
        guard length > 19, length <= record.count else { break }
        let name = [UInt8](record[19..<length].prefix { $0 != 0 })
        let kind: EntryKind =
          switch record[18] {
          case 0: .unknown
          case 4: .directory
          default: .other
          }
        record = UnsafeRawBufferPointer(rebasing: record[length...])
        if name != [46], name != [46, 46] { try body(name, kind) }
      }
    }
  }
}
