internal import CLinux
internal import Glibc

/// A loop device that shows a file as a read-only block device (loop(4)).
///
/// It lasts as long as this object, or what is mounted from it; the kernel detaches it then, also after a kill.
public final class LoopDevice: Sendable {
  /// `/dev/loop3`.
  public let path: String
  private let device: OpenFile

  /// Attaches the file `path`, of which whole blocks of 512 bytes are seen.
  public init(attaching path: String) throws {
    let file = try OpenFile(path)
    var number: Int32 = 0
    let descriptor = try check("attach \(path) to a loop device") { stave_attach_loop(file.descriptor, path, &number) }
    self.path = "/dev/loop\(number)"
    device = OpenFile(owning: descriptor, path: self.path)
  }
}
