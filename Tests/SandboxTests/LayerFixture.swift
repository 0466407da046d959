import Core
import Foundation
import Linux
import Sandbox

/// Layers of a test: trees in overlayfs' own form, and the EROFS images that mkfs.erofs makes of them, with their file
/// data on a device of its own.
struct LayerFixture {
  let directory: String

  /// Whether this machine can make and mount the images from files.
  static let isUsable = Rootfs.isUsable && makesImages && mountsFiles

  private static let makesImages = FileManager.default.isExecutableFile(atPath: "/usr/bin/mkfs.erofs")

  private static let mountsFiles: Bool = {
    guard makesImages, let box = try? Rootfs() else { return false }
    let lower = try? LayerFixture(directory: box.directory).image("probe") { _ in }
    guard case .erofs(let index, let devices, _)? = lower else { return false }
    let root = ProcessSpec.Root.overlay(
      lowers: [.erofs(index: index, devices: devices), .tree("\(box.directory)/lower")],
      upper: "\(box.directory)/upper", work: "\(box.directory)/work")
    return (try? box.launcher.launch(.dockerDefault(arguments: ["/bin/true"], root: root), stdio: .none).wait())
      == .exited(0)
  }()

  /// An image of the tree that `fill` makes in the directory it gets.
  func image(_ name: String, loop: Bool = false, _ fill: (String) throws -> Void) throws -> ProcessSpec.LowerLayer {
    let tree = "\(directory)/\(name)"
    try HostPath.makeDirectories(tree)
    try fill(tree)
    return try image(name, of: tree, loop: loop)
  }

  /// An image of `tree`.
  func image(_ name: String, of tree: String, loop: Bool = false) throws -> ProcessSpec.LowerLayer {
    let index = "\(directory)/\(name).index"
    let blob = "\(directory)/\(name).blob"
    try run("/usr/bin/mkfs.erofs", ["--quiet", "-x1", "--chunksize=4096", "--blobdev=\(blob)", index, tree])
    return .erofs(index: index, devices: [blob], loop: loop)
  }

  /// A whiteout.
  static func hide(_ path: String) throws {
    guard mknod(path, S_IFCHR, 0) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  }

  /// A directory that hides what the layers below have in it.
  static func makeOpaque(_ path: String) throws {
    try HostPath.makeDirectories(path)
    try OpenFile(path).setAttribute("trusted.overlay.opaque", Array("y".utf8))
  }

  static func write(_ text: String, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure("run \(program)", "\(process.terminationStatus)") }
  }
}
