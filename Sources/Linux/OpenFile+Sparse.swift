internal import CLinux
internal import Glibc

extension OpenFile {
  /// Fills `buffer` from `offset` on as far as the file goes, without reading its holes; returns the number of bytes.
  /// Moves the file's position. Safe for use by several threads that read by offset.
  public func fillSparse(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    let size = try status().size
    let count = Int(clamping: max(0, min(Int64(buffer.count), size - offset)))
    var filled = 0
    while filled < count {
      let at = offset + Int64(filled)
      let data = Int64(lseek(descriptor, off_t(at), Int32(STAVE_SEEK_DATA)))
      // No data up to the end, or a file system that does not tell.
      let next = data >= 0 ? data : errno == ENXIO ? size : at
      let hole = min(Int64(count - filled), next - at)
      if hole > 0 {
        UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + Int(hole))]).initializeMemory(
          as: UInt8.self, repeating: 0)
        filled += Int(hole)
        continue
      }
      let end = Int64(lseek(descriptor, off_t(at), Int32(STAVE_SEEK_HOLE)))
      let length = end > at ? min(Int64(count - filled), end - at) : Int64(count - filled)
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + Int(length))])
      let read = try self.read(into: room, at: at)
      if read == 0 { break }
      filled += read
    }
    return filled
  }
}
