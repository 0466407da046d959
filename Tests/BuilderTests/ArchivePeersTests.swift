import Core
import Foundation
import Linux
import Store
import Testing

@testable import Builder

/// Runs `command` by the shell; its exit code and everything it printed.
private func shell(_ command: String) throws -> (code: Int32, output: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/bin/sh")
  process.arguments = ["-c", command]
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (process.terminationStatus, output)
}

private func isInstalled(_ tool: String) -> Bool { (try? shell("command -v \(tool)").code) == 0 }

/// A root file system with what archives get wrong: a name that is not ASCII, a hard link, a long name.
private let rootfs = """
  mkdir -p r/etc r/bin && echo name > r/etc/name && ln r/etc/name r/etc/hard && ln -s name r/etc/soft \
  && echo x > r/etc/na$(printf '\\303\\257')ve && touch r/$(printf 'long%.0s' $(seq 50)) && tar -C r -cf rootfs.tar .
  """

@Suite(.enabled(if: isInstalled("skopeo")), .serialized)
struct ArchivePeersTests {
  /// Imports a small image into a store at `directory`/store.
  private func makeStore(_ directory: String) throws -> Store {
    try #require(try shell("cd \(directory) && \(rootfs)").code == 0)
    let store = try Store.open(root: directory + "/store")
    _ = try ImageArchive.importRootfs(
      .path(directory + "/rootfs.tar"), into: store, reference: ImageReference("test/web:1"),
      changes: [#"CMD ["/bin/true"]"#], created: Timestamp(seconds: 1_600_000_000))
    return store
  }

  @Test(arguments: [("none", nil), ("gzip", nil), ("gzip", 1), ("gzip", 9), ("zstd", nil), ("zstd", 7)])
  func skopeoReadsWhatIsSaved(compression: String, level: Int?) throws {
    let directory = try HostPath.makeTemporaryDirectory("/tmp/stave-peers-test-")
    defer { try? HostPath.removeTree(directory) }
    let store = try makeStore(directory)
    let image = try store.resolve("test/web:1")
    for format in ImageArchive.Format.allCases {
      let path = "\(directory)/\(format.rawValue)"
      try ImageArchive.save(
        ["test/web:1"], from: store, format: format, to: .path(path), compression: compression, level: level)
      let transport = format == .ociDirectory ? "oci" : format.rawValue
      let inspected = try shell("skopeo inspect --config \(transport):\(path)")
      #expect(inspected.code == 0, "\(inspected.output)")
      #expect(inspected.output.contains("/bin/true"))
      let fresh = try Store.open(root: path + ".store")
      let foreign = try shell("skopeo copy --insecure-policy \(transport):\(path) oci:\(path).oci:again:3")
      #expect(foreign.code == 0, "\(foreign.output)")
      #expect(try ImageArchive.load(.path(path + ".oci"), into: fresh).map(\.line) == ["Loaded image: again:3"])
      // Docker's manifests have no word for zstd.
      if compression == "zstd" { continue }
      let copied = try shell(
        "skopeo copy --insecure-policy \(transport):\(path) docker-archive:\(path).copy:again:2")
      #expect(copied.code == 0, "\(copied.output)")
      let loaded = try ImageArchive.load(.path(path + ".copy"), into: fresh)
      #expect(loaded.map(\.line) == ["Loaded image: again:2"])
      #expect(try fresh.resolve("again:2").config.diffIDs == image.config.diffIDs)
      #expect(try fresh.check().isEmpty)
    }
  }

  @Test func skopeoReadsTheStoreItself() throws {
    let directory = try HostPath.makeTemporaryDirectory("/tmp/stave-peers-test-")
    defer { try? HostPath.removeTree(directory) }
    let store = try makeStore(directory)
    let result = try shell("skopeo inspect --config oci:\(store.root)")
    #expect(result.code == 0, "\(result.output)")
  }

  @Test(.enabled(if: isInstalled("umoci")))
  func umociUnpacksWhatIsSaved() throws {
    let directory = try HostPath.makeTemporaryDirectory("/tmp/stave-peers-test-")
    defer { try? HostPath.removeTree(directory) }
    let store = try makeStore(directory)
    let path = directory + "/oci"
    for compression in [nil, "gzip"] {
      try ImageArchive.save(
        ["test/web:1"], from: store, format: .ociDirectory, to: .path(path), compression: compression)
      let result = try shell(
        "umoci unpack --rootless --image \(path):1 \(path)-bundle && cat \(path)-bundle/rootfs/etc/hard")
      #expect(result.code == 0, "\(result.output)")
      #expect(result.output.hasSuffix("name\n"))
      _ = try shell("rm -rf \(path) \(path)-bundle")
    }
  }
}
