internal import Core
public import Linux

extension CopyPlan {
  /// Writes the entries into `writer` in their order. `finish` is left to the caller. Files are read by up to `width`
  /// threads, by more where they wait for the disk; those whose contents are still in memory are not read. Throws if a
  /// file was changed since the plan was made, and `CancellationError` in a cancelled task.
  public func write(to writer: TarWriter, width: Int = Machine.processorCount) throws {
    let cursor = CopyCursor(self)
    guard isMuch else {
      while let work = try cursor.next() {
        try Task.checkCancellation()
        try writer.append(work.assemble())
      }
      return
    }
    try OrderedWork.run(
      width: width, window: 2 * width + 2, next: { try cursor.next() }, work: { try $0.assemble() },
      take: { try writer.append($0) })
  }

  /// Whether several threads are worth their start.
  private var isMuch: Bool {
    var size: Int64 = 0
    for part: Entry in parts {
      if case .tree = part.data { return true }
      size &+= part.entry.size
    }
    return size > 1 << 20 || parts.count > 256
  }
}
