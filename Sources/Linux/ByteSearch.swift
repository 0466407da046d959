internal import CLinux

/// Finding bytes in many bytes, as fast as the C library can.
public enum ByteSearch {
  /// Where `needle` first stands in `bytes` at or after `start`; nil if it does not.
  public static func first(_ needle: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
    guard start >= 0, start <= bytes.count, !needle.isEmpty else { return nil }
    return bytes.withUnsafeBytes { all -> Int? in
      guard let base = all.baseAddress,
        let found = needle.withUnsafeBytes({ stave_find(base + start, all.count - start, $0.baseAddress, $0.count) })
      else { return nil }
      return UnsafeRawPointer(found) - base
    }
  }
}
