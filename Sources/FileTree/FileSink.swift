public import Linux

/// A file as a sink for much data: what was written goes to the disk while more comes, so that the sync at the end is
/// short. Throws `CancellationError` in a cancelled task.
public final class FileSink: ByteSink {
  private static let step: Int64 = 8 << 20

  private let file: OpenFile
  private var written: Int64
  private var begun: Int64

  /// A sink that writes at the position of `file`, which is `position`.
  public init(_ file: OpenFile, position: Int64 = 0) {
    self.file = file
    written = position
    begun = position
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    try Task.checkCancellation()
    try file.write(bytes)
    written += Int64(bytes.count)
    if written - begun >= FileSink.step {
      file.beginWriteBack(from: begun, count: written - begun)
      begun = written
    }
  }
}
