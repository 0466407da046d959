import Core
import Foundation
import Linux
import Testing

@testable import Sandbox

/// Layers that are mounted from their indexes: what the process sees, and what is said when a mount fails.
@Suite(.enabled(if: LayerFixture.isUsable), .serialized) struct ErofsLayerTests {
  let box: Rootfs
  let layers: LayerFixture

  init() throws {
    box = try Rootfs()
    layers = LayerFixture(directory: box.directory)
  }

  private func spec(_ script: String, _ lowers: [ProcessSpec.LowerLayer]) -> ProcessSpec {
    var spec = box.spec(["sh", "-c", script])
    spec.root = .overlay(lowers: lowers, upper: "\(box.directory)/upper", work: "\(box.directory)/work")
    return spec
  }

  private func failure(_ lowers: [ProcessSpec.LowerLayer]) throws -> Failure? {
    do {
      _ = try box.run(spec("true", lowers))
      return nil
    } catch let failure as Failure { return failure }
  }

  /// `path` without the test's directory.
  private func short(_ failure: Failure?) -> String? {
    failure?.description.replacingOccurrences(of: box.directory, with: "")
  }

  @Test(arguments: ["file", "loop"], [OverlayForm.any, .attached, .string])
  func stackOfIndexes(_ kind: String, _ form: OverlayForm) throws {
    let loop = kind == "loop"
    let base = try layers.image("base", of: "\(box.directory)/lower", loop: loop)
    let middle = try layers.image("middle", loop: loop) { tree in
      try HostPath.makeDirectories(tree + "/d/old")
      try LayerFixture.write("middle\n", tree + "/d/file")
      try LayerFixture.write("gone\n", tree + "/gone")
      try LayerFixture.write(String(repeating: "x", count: 10_000), tree + "/large")
    }
    let top = try layers.image("top", loop: loop) { tree in
      try LayerFixture.hide(tree + "/gone")
      try LayerFixture.makeOpaque(tree + "/d")
      try LayerFixture.write("top\n", tree + "/d/new")
    }
    let launcher = SandboxLauncher(
      stateDirectory: "\(box.directory)/state", hierarchies: .current, overlayForm: form)
    let pipe = try OpenFile.pipe()
    let script = """
      ls /d; cat /d/new; ls /gone; stat -c %s /large; echo more >> /large; stat -c %s /large; rm -r /d; ls /d
      echo made > /made; grep -c erofs /proc/mounts
      """
    try box.renewWork()
    let process = try launcher.launch(
      spec(script, [top, middle, base]), stdio: .files(input: nil, output: pipe.write, error: nil))
    #expect(try process.wait().code == 1)
    #expect(process.createdTargets.isEmpty)
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = try chunk.withUnsafeMutableBytes { try pipe.read.read(into: $0) }
    #expect(String(decoding: chunk[..<count], as: UTF8.self) == "new\ntop\n10000\n10005\n0\n")
    let upper = try FileManager.default.contentsOfDirectory(atPath: "\(box.directory)/upper").sorted()
    #expect(upper == ["d", "large", "made"])
    #expect(try attachedLoops() == [])
  }

  /// The files of this test that loop devices show. The kernel lets go of a device a moment after its last user.
  private func attachedLoops() throws -> [String] {
    var found: [String] = []
    for _ in 0..<200 {
      found = try FileManager.default.contentsOfDirectory(atPath: "/sys/block").compactMap { name in
        let file = "/sys/block/\(name)/loop/backing_file"
        guard let bytes = try? HostPath.read(file, limit: 4096) else { return nil }
        let path = String(decoding: bytes, as: UTF8.self)
        return path.contains(box.directory) ? path : nil
      }
      if found.isEmpty { break }
      usleep(5000)
    }
    return found
  }

  @Test func failuresNameTheIndexAndTheDevice() throws {
    let base = ProcessSpec.LowerLayer.tree("\(box.directory)/lower")
    guard case .erofs(let index, let devices, _) = try layers.image("l", { try LayerFixture.write("abc", $0 + "/a") })
    else { return }
    func text(_ index: String, _ devices: [String], loop: Bool = false) throws -> String? {
      short(try failure([.erofs(index: index, devices: devices, loop: loop), base]))
    }
    #expect(try text(index, []) == "mount layer /l.index: it was made for another number of devices")
    #expect(
      try text(index, devices + devices) == "mount layer /l.index: it was made for another number of devices")
    #expect(
      try text(index, [box.directory + "/none"]) == "mount layer /l.index: device /none: no such file or directory")
    #expect(try text(box.directory + "/none", devices) == "mount layer /none: no such file or directory")
    #expect(try text(devices[0], []) == "mount layer /l.blob: it is no EROFS image")
    #expect(
      try text(box.directory + "/none", devices, loop: true)
        == "mount layer /none: device /none: no such file or directory")
    // This mkfs.erofs leaves the size of the device open: one block.
    var bytes = try HostPath.read(index)
    bytes[(Int(bytes[1024 + 88]) + Int(bytes[1024 + 89]) << 8) * 128 + 64] = 1
    try HostPath.write(bytes, to: index)
    let cut = box.directory + "/short"
    try Data().write(to: URL(fileURLWithPath: cut))
    #expect(try text(index, [cut]) == "mount layer /l.index: /short is shorter than the index says")
    #expect(try text(index, [cut], loop: true) == "mount layer /l.index: /short is shorter than the index says")
    // A superblock that the kernel refuses for what only it knows.
    bytes[1024 + 83] = 0x40
    try HostPath.write(bytes, to: index)
    let refused = try #require(try text(index, devices))
    #expect(refused.hasPrefix("mount layer /l.index: "))
    #expect(try attachedLoops() == [])
  }

  @Test func indexOnAFileSystemWithoutFileMounts() throws {
    // A tmpfs has no blocks to read: the kernel asks for a device.
    let place = "/dev/shm/stave-\(UUID().uuidString)"
    try HostPath.makeDirectories(place)
    defer { try? HostPath.removeTree(place) }
    let image = try LayerFixture(directory: place).image("l") { try LayerFixture.write("abc", $0 + "/a") }
    guard case .erofs(let index, let devices, _) = image else { return }
    let base = ProcessSpec.LowerLayer.tree("\(box.directory)/lower")
    let refused = try #require(try failure([image, base]))
    #expect(refused.action == "mount layer \(index)")
    #expect(refused.hint?.contains("STAVE_LAYERS=loop") == true)
    let result = try box.run(spec("cat /a", [.erofs(index: index, devices: devices, loop: true), base]))
    #expect(result.output == "abc")
  }

  @Test(arguments: [499, 500, 501]) func manyLayers(_ count: Int) throws {
    guard case .erofs(let index, let devices, _) = try layers.image("l", { try LayerFixture.write("abc", $0 + "/a") })
    else { return }
    // Names of their own, else they count once.
    var lowers: [ProcessSpec.LowerLayer] = []
    for k in 0..<count - 1 {
      try HostPath.link(index, to: "\(box.directory)/index-\(k)")
      lowers.append(.erofs(index: "\(box.directory)/index-\(k)", devices: devices))
    }
    lowers.append(.tree("\(box.directory)/lower"))
    if count == 501 {
      #expect(
        try failure(lowers)?.description == "mount the overlay root: 501 layers, but the kernel stacks at most 500")
      return
    }
    let result = try box.run(spec("cat /a", lowers))
    #expect(result.output == "abc")
    // Without room for the skeleton, targets are made in the upper and reported.
    #expect(result.process.createdTargets.isEmpty == (count < 500))
  }

  @Test func layersThatAreThereTwice() throws {
    let base = ProcessSpec.LowerLayer.tree("\(box.directory)/lower")
    let layer = try layers.image("l") { try LayerFixture.write("a\n", $0 + "/a") }
    let hiding = try layers.image("m") { try LayerFixture.hide($0 + "/a") }
    #expect(try box.run(spec("cat /a", [layer, hiding, layer, base, base])).output == "a\n")
    #expect(try box.run(spec("cat /a", [hiding, layer, hiding, base])).status == .exited(1))
    // The same files as two layers of different kinds.
    let tree = ProcessSpec.LowerLayer.tree("\(box.directory)/l")
    #expect(try box.run(spec("cat /a", [tree, layer, base])).output == "a\n")
  }

  @Test func setUserIDAndFileCapabilitiesWork() throws {
    let base = try layers.image("base", of: "\(box.directory)/lower")
    let programs = try layers.image("programs") { tree in
      try HostPath.makeDirectories(tree + "/capable")
      try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: tree + "/capable/busybox")
      // Version 2, effective, permitted CAP_NET_RAW (capabilities(7)).
      let value: [UInt8] = [1, 0, 0, 2, 0, 0x20, 0, 0] + Array(repeating: 0, count: 12)
      try OpenFile(tree + "/capable/busybox").setAttribute("security.capability", value)
      // busybox gives up what it gets by set-uid; this static program does not.
      try FileManager.default.copyItem(atPath: "/sbin/ldconfig", toPath: tree + "/ldconfig")
      chmod(tree + "/ldconfig", 0o4755)
    }
    let script = "/capable/busybox grep CapEff /proc/self/status; /ldconfig -C /etc/made; stat -c %u /etc/made"
    var run = spec(script, [programs, base])
    run.user = .init(uid: 1000, gid: 1000)
    run.capabilities.effective = []
    run.capabilities.permitted = []
    let output = try box.run(run).output
    #expect(output.contains("CapEff:\t0000000000002000\n"))
    #expect(output.hasSuffix("0\n"), "\(output)")
    run.arguments = ["/ldconfig", "-C", "/etc/more"]
    run.noNewPrivileges = true
    #expect(try box.run(run).status != .exited(0))
  }

  @Test func frozenUpperIsTheNextLower() throws {
    let base = try layers.image("base", of: "\(box.directory)/lower")
    let data = try layers.image("data") { tree in
      for name in ["a", "b/c", "b/d"] {
        try HostPath.makeDirectories(tree + "/data/b")
        try LayerFixture.write(name, tree + "/data/" + name)
      }
    }
    let script = "rm -r /data/b /data/a && mkdir /data/b && echo new > /data/b/e && echo f > /data/f"
    #expect(try box.run(spec(script, [data, base])).status == .exited(0))
    try HostPath.rename("\(box.directory)/upper", to: "\(box.directory)/frozen")
    try HostPath.makeDirectories("\(box.directory)/upper")
    let frozen = try Directory("\(box.directory)/frozen")
    let path = "/proc/self/fd/\(frozen.file.descriptor)"
    let result = try box.run(spec("cd /data; ls; ls b; cat b/e; rm f; echo x > a", [.tree(path), data, base]))
    #expect(result.output == "b\nf\ne\nnew\n")
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(box.directory)/frozen/data").sorted().count == 3)
  }

  @Test func aWorkDirectoryIsUsedOnce() throws {
    let base = try layers.image("base", of: "\(box.directory)/lower")
    #expect(try box.run(spec("true", [base])).status == .exited(0))
    do {
      _ = try box.launcher.launch(spec("true", [base]), stdio: .none).wait()
      Issue.record("it started")
    } catch let failure as Failure {
      #expect(failure.action == "mount the overlay root")
      #expect(failure.reason.contains("invalid argument"))
    }
  }

  @Test func listingsHaveTypes() throws {
    let base = try layers.image("base", of: "\(box.directory)/lower")
    try box.renewWork()
    let pipe = try OpenFile.pipe()
    let process = try box.launcher.launch(
      spec("echo ready; sleep 100", [base]), stdio: .files(input: nil, output: pipe.write, error: nil))
    var chunk = [UInt8](repeating: 0, count: 16)
    _ = try chunk.withUnsafeMutableBytes { try pipe.read.read(into: $0) }
    let stream = try #require(opendir("/proc/\(process.pid)/root/bin"))
    defer { closedir(stream) }
    var types: [UInt8] = []
    while let entry = readdir(stream) { types.append(entry.pointee.d_type) }
    #expect(types.contains(UInt8(DT_LNK)) && types.contains(UInt8(DT_REG)) && !types.contains(UInt8(DT_UNKNOWN)))
    try process.kill()
    _ = try process.wait()
  }

  @Test(arguments: [false, true]) func userNamespacesGetTheMount(_ loop: Bool) throws {
    let base = try layers.image("base", of: "\(box.directory)/lower", loop: loop)
    var run = spec("cat /etc/passwd && echo x > /etc/y", [base])
    run.namespaces += [NamespaceSpec(.user), NamespaceSpec(.network)]
    run.uidMappings = [IDMapping(inside: 0, outside: 0, count: 1000)]
    run.gidMappings = run.uidMappings
    #expect(try box.run(run).output.hasPrefix("root:"))
  }
}
