internal import CLinux
internal import Glibc

/// Tells whether the process waits for a disk: then more threads than processors are of use. On a machine that is
/// merely busy they are not.
struct DiskReads {
  private var blocks: Int

  init() { blocks = DiskReads.count() }

  /// Whether bytes came from a disk since this was asked last.
  mutating func haveGrown() -> Bool {
    let now = DiskReads.count()
    defer { blocks = now }
    return now > blocks
  }

  private static func count() -> Int {
    var usage = rusage()
    getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_inblock
  }
}
