internal import Glibc

extension Poll {
  /// Waits until one of `descriptors` can be read or has ended, at most `milliseconds` (for ever if nil); returns the
  /// positions of those that are. A negative descriptor is passed over.
  public static func readable(_ descriptors: [Int32], milliseconds: Int32? = nil) throws -> [Int] {
    var waiting: [pollfd] = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let count = poll(&waiting, nfds_t(waiting.count), milliseconds ?? -1)
    if count < 0, errno != EINTR { throw SystemError.last("wait for input") }
    return count <= 0 ? [] : waiting.indices.filter { waiting[$0].revents != 0 }
  }
}
