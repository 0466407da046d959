internal import Linux

extension FilePart {
  /// Fills `buffer` from `offset` on as far as the file goes; returns the number of bytes.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    var filled = 0
    while filled < buffer.count {
      let count = try read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]), at: offset + Int64(filled))
      if count == 0 { break }
      filled += count
    }
    return filled
  }

  /// Whether the file is what had `identity`; of a file without one nobody knows better.
  func isStill(_ identity: FileIdentity?) throws -> Bool {
    guard let identity else { return true }
    return FileIdentity(try file.status()) == identity
  }
}
