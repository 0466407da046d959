internal import Glibc

/// Waiting for several descriptors at once: poll(2).
public enum Poll {
  /// Reads all `files` until each has ended, as data come; gives the index of the file and a piece of its data.
  public static func drain(_ files: [OpenFile], _ body: (Int, [UInt8]) throws -> Void) throws {
    var waiting: [pollfd] = files.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    var open = files.count
    while open > 0 {
      try check("wait for output") { poll(&waiting, nfds_t(waiting.count), -1) }
      for index in waiting.indices where waiting[index].fd >= 0 && waiting[index].revents != 0 {
        let bytes = try [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
          count = try files[index].read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        if bytes.isEmpty {
          waiting[index].fd = -1
          open -= 1
        } else {
          try body(index, bytes)
        }
      }
    }
  }
}
