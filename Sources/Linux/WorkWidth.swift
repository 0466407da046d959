/// How many threads share a piece of work: as many as were asked for, and more where the process waits for a disk and
/// not for a processor. One stays one.
struct WorkWidth {
  /// More threads than processors are of use only while they wait for the disk.
  static let most = 16

  let width: Int
  private var reads = DiskReads()

  init(_ width: Int) { self.width = max(1, width) }

  /// Whether one more than `threads` is of use now. Ask where a job takes long.
  mutating func wantsMore(than threads: Int) -> Bool {
    width > 1 && threads < WorkWidth.most && reads.haveGrown()
  }
}
