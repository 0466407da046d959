import Core
import FileTree
import Linux
import Testing

@testable import Store

/// Layers by their indexes: made on the way, made again, merged, checked.
@Suite struct StoreLayersTests {
  private let scratch: Scratch
  private let store: Store

  init() throws {
    scratch = try Scratch()
    store = scratch.store
    store.openLayers.form = LayerFormFinding(form: .file)
  }

  private func path(_ text: String) -> TreePath { TreePath(clamping: text) }

  private func layer(_ entries: [TarEntry]) throws -> Layer {
    let writer = try store.layerWriter()
    for entry in entries {
      try writer.tar.begin(entry)
      if entry.size > 0 { try writer.tar.write([UInt8](repeating: 120, count: Int(entry.size))) }
    }
    return try writer.commit()
  }

  private func names(_ view: MergedTree, _ folder: String = "/") throws -> [String] {
    try view.children(path(folder)).map { String(decoding: $0.name, as: UTF8.self) }
  }

  /// The tree that the kernel would show of `lowers`, without it.
  private func view(_ lowers: [ProcessSpec.LowerLayer]) throws -> MergedTree {
    MergedTree(
      try lowers.map { lower -> any LayerView in
        switch lower {
        case .tree(let path): TreeLayer(try Directory(path))
        case .erofs(let index, let devices, _): try IndexLayer(LayerIndex(path: index), tars: devices)
        }
      })
  }

  @Test func everyWayInMakesTheSameIndex() throws {
    let written = try scratch.layer("a/b", "text")
    let file = store.paths.layerIndex(written.diffID)
    let bytes = try HostPath.read(file)
    let tar = try HostPath.read(store.tarPath(written.diffID))
    let other = try Scratch()
    for compression in [Compression.none, .gzip] {
      let sink = MemorySink()
      let compressor = try Compressor(compression, into: sink)
      try compressor.write(tar)
      try compressor.finish()
      _ = try other.store.ingestLayer(MemorySource(sink.bytes), what: "read layer")
      #expect(try HostPath.read(other.store.paths.layerIndex(written.diffID)) == bytes)
      try other.store.removeLayer(written.diffID)
    }
    try HostPath.removeFile(file)
    #expect(try names(scratch.another().view(of: [written.diffID]), "a") == ["b"])
    #expect(try HostPath.read(file) == bytes)
  }

  @Test func aDamagedIndexIsMadeAgain() throws {
    let diffID = try scratch.layer("a/b", "text").diffID
    let file = store.paths.layerIndex(diffID)
    let whole = try HostPath.read(file)
    func damage(_ body: (inout [UInt8]) -> Void) throws {
      var bytes = whole
      body(&bytes)
      try HostPath.removeFile(file)
      let damaged = try OpenFile(file, .create)
      try damaged.write(bytes)
      // As a crash leaves it: from before this start of the machine.
      try damaged.setModified(Timestamp(seconds: 1))
    }
    try damage { $0[$0.count - 700] ^= 1 }
    #expect(try scratch.another().view(of: [diffID]).readSmallFile(path("a/b")) == Array("text".utf8))
    #expect(try HostPath.read(file) == whole)
    try damage { $0 = [] }
    #expect(try scratch.another().view(of: [diffID]).readSmallFile(path("a/b")) == Array("text".utf8))
    #expect(try HostPath.read(file) == whole)
    try damage { _ in }
    _ = try scratch.another().view(of: [diffID])
    // Verified once: not again until the next start.
    #expect(try HostPath.status(file)?.mtime ?? Timestamp(seconds: 0) > Machine.bootTime)
  }

  @Test func checkFindsAndRepairsIndexes() throws {
    let layers = try (0..<2).map { try scratch.layer("f\($0)", "text") }
    let diffIDs = layers.map(\.diffID)
    _ = try store.lowers(of: diffIDs, merged: true)
    #expect(try store.check().isEmpty)
    let index = store.paths.layerIndex(diffIDs[0])
    let stack = store.paths.stackIndex(Store.identity(diffIDs.reversed(), isBottom: true))
    for file in [index, stack] {
      try OpenFile(file, .readWrite).write([UInt8](repeating: 7, count: 8).withUnsafeBytes { Array($0) })
    }
    #expect(try store.check().map(\.reason) == ["its checksum is wrong", "its checksum is wrong"])
    #expect(try store.check(repair: true).allSatisfy(\.isRepaired))
    #expect(try store.check().isEmpty)
    let again = try scratch.another()
    again.openLayers.form = LayerFormFinding(form: .file)
    #expect(try names(view(again.lowers(of: diffIDs, merged: true))) == ["f0", "f1"])
    #expect(try again.check().isEmpty)
  }

  @Test func whatNoIndexCanServeIsUnpacked() throws {
    let low = try scratch.layer("a", "low")
    var link = TarEntry(path: path("b"), kind: .hardLink, mode: 0o644)
    link.linkTarget = Array("a".utf8)
    let high = try layer([link])
    let stack = [low.diffID, high.diffID]
    #expect(try HostPath.status(store.paths.layerIndex(high.diffID)) == nil)
    #expect(try HostPath.status(store.paths.needsTree(high.diffID)) != nil)
    #expect(try store.view(of: stack).readSmallFile(path("b")) == Array("low".utf8))
    let lowers = try store.lowers(of: stack)
    #expect(
      lowers == [
        .tree(store.paths.tree(high.diffID)),
        .erofs(index: store.paths.layerIndex(low.diffID), devices: [store.paths.tar(low.diffID)]),
      ])
    #expect(try store.check().isEmpty)
  }

  @Test func deepStacksAreMergedByGroups() throws {
    var layers = try (0..<40).map { try scratch.layer("d/f\($0)", "\($0)") }
    layers[20] = try layer([
      TarEntry(path: path("d"), kind: .directory, mode: 0o700),
      TarEntry(path: path("d/.wh.f3"), kind: .regular, mode: 0),
    ])
    layers[39] = try layer([TarEntry(path: path("d/.wh.f25"), kind: .regular, mode: 0)])
    let diffIDs = layers.map(\.diffID)
    // Directories without a member would make one index of it all: these have one.
    let whole = try store.view(of: diffIDs)
    let expected = try names(whole, "d")
    #expect(expected.count == 36)
    let merged = try store.lowers(of: diffIDs, merged: true)
    #expect(merged.count == 1)
    #expect(try names(view(merged), "d") == expected)
    for name in expected {
      let file = path("d/\(name)")
      #expect(try view(merged).readSmallFile(file) == whole.readSmallFile(file))
    }
    // Each layer implies d/, so none can be mounted alone.
    #expect(try store.lowers(of: diffIDs) == merged)
  }

  @Test func groupsStayWhenLayersAreAdded() throws {
    let layers = try (0..<35).map { number in
      try layer([
        TarEntry(path: path("d"), kind: .directory, mode: 0o755),
        TarEntry(path: path("d/f\(number)"), kind: .regular, mode: 0o644, size: Int64(number)),
        TarEntry(path: path("d/.wh.f\(number - 5)"), kind: .regular, mode: 0),
      ])
    }
    let diffIDs = layers.map(\.diffID)
    let lowers = try store.lowers(of: diffIDs)
    #expect(lowers.count == 3 + 2)
    #expect(try Array(store.lowers(of: Array(diffIDs[..<33])).suffix(2)) == Array(lowers.suffix(2)))
    #expect(try names(view(lowers), "d") == (30..<35).map { "f\($0)" })
    // With something below, the lowest group keeps its whiteouts.
    let above = try view(
      store.lowers(of: Array(diffIDs[16...]), isBottom: false) + store.lowers(of: Array(diffIDs[..<16])))
    #expect(try names(above, "d") == (30..<35).map { "f\($0)" })
  }

  @Test func aContainersRootIsOneIndex() throws {
    let layers = try (0..<3).map { number in
      try layer([
        TarEntry(path: path("d"), kind: .directory, mode: 0o700 + UInt16(number)),
        TarEntry(path: path("d/f\(number)"), kind: .regular, mode: 0o644, size: Int64(number)),
      ])
    }
    let diffIDs = (layers + [layers[0]]).map(\.diffID)
    let first = try store.root(of: diffIDs)
    let again = try scratch.another()
    again.openLayers.form = LayerFormFinding(form: .file)
    let second = try again.root(of: diffIDs)
    #expect(first.lowers.count == 1)
    #expect(first.lowers == second.lowers)
    for shown in [first.view, second.view, try view(second.lowers)] {
      #expect(try names(shown, "d") == ["f0", "f1", "f2"])
      #expect(try shown.entry(path("d"))?.mode == 0o700)
      #expect(try shown.readSmallFile(path("d/f2"))?.count == 2)
    }
    again.openLayers.form = LayerFormFinding(form: .loop)
    #expect(try again.root(of: diffIDs).lowers != second.lowers)
    #expect(try store.root(of: []).lowers.isEmpty)
  }

  @Test func directoriesWithoutMembersLookAsBelow() throws {
    let low = try layer([
      TarEntry(path: path("d"), kind: .directory, mode: 0o2710, uid: 7, gid: 8, mtime: Timestamp(seconds: 99)),
      TarEntry(path: path("d/a"), kind: .regular, mode: 0o644),
    ])
    let high = try layer([TarEntry(path: path("d/b/c"), kind: .regular, mode: 0o600)])
    let stack = [low.diffID, high.diffID]
    var views = [try store.view(of: stack), try view(store.lowers(of: stack))]
    if Machine.effectiveUserID == 0 { views.append(try view(store.trees(of: stack).map { .tree($0) })) }
    for view in views {
      let node = try view.entry(path("d"))
      #expect(node?.mode == 0o2710 && node?.uid == 7 && node?.gid == 8 && node?.mtime == Timestamp(seconds: 99))
      #expect(try view.children(.root).first?.node == node)
      #expect(try view.entry(path("d/b"))?.mode == 0o755)
      #expect(try names(view, "d") == ["a", "b"])
    }
  }

  @Test func anOpaqueRootHidesAllBelow() throws {
    let low = try scratch.layer("old", "x")
    let high = try layer([
      TarEntry(path: path(".wh..wh..opq"), kind: .regular, mode: 0),
      TarEntry(path: path("new"), kind: .regular, mode: 0o644),
    ])
    #expect(try names(store.view(of: [low.diffID, high.diffID])) == ["new"])
    #expect(try names(view(store.lowers(of: [low.diffID, high.diffID]))) == ["new"])
    #expect(try names(view(store.lowers(of: [low.diffID, high.diffID], merged: true))) == ["new"])
  }

  /// Overlayfs does not look at the root of a lower: the layers below must not be given to it.
  @Test(.enabled(if: Machine.effectiveUserID == 0), arguments: [LayerForm.file, .loop, .tree])
  func whatAnOpaqueRootHidesIsNoLower(form: LayerForm) throws {
    store.openLayers.form = LayerFormFinding(form: form)
    let opaque = TarEntry(path: path(".wh..wh..opq"), kind: .regular, mode: 0)
    let low = try scratch.layer("old", "x")
    let high = try layer([opaque, TarEntry(path: path("new"), kind: .regular, mode: 0o644)])
    // A link into the layer below: no index can serve it.
    var link = TarEntry(path: path("link"), kind: .hardLink, mode: 0o644)
    link.linkTarget = Array("old".utf8)
    let linking = try layer([opaque, link])
    let top = try scratch.layer("top", "x")
    for (hiding, expected) in [(high, ["new", "top"]), (linking, ["link", "top"])] {
      let stack = [low, hiding, top].map(\.diffID)
      for merged in [false, true] {
        let lowers = try store.lowers(of: stack, merged: merged)
        #expect(lowers.allSatisfy { !"\($0)".contains(low.diffID.encoded) })
        #expect(try names(view(lowers)) == expected)
      }
      #expect(try names(store.view(of: stack)) == expected)
      #expect(try names(store.root(of: stack).view) == expected)
      #expect(try store.trees(of: stack).count == 2)
    }
  }

  @Test func rootOfAStackThatHidesLayersIsFoundAgain() throws {
    let hidden = try scratch.layer("old", "x")
    let hiding = try layer([
      TarEntry(path: path(".wh..wh..opq"), kind: .regular, mode: 0),
      TarEntry(path: path("new"), kind: .regular, mode: 0o644),
    ])
    let top = try scratch.layer("top", "x")
    let diffIDs = [hidden, hiding, top].map(\.diffID)
    store.openLayers.form = LayerFormFinding(form: .file)
    let first = try store.root(of: diffIDs)
    #expect(try names(first.view) == ["new", "top"])
    let again = try scratch.another()
    again.openLayers.form = LayerFormFinding(form: .file)
    #expect(try again.root(of: diffIDs).lowers == first.lowers)
    // At once, without a look at the layers.
    for diffID in diffIDs { #expect(again.openLayers.layer(diffID) == nil) }
    #expect(try again.check().isEmpty)
  }

  @Test func mergedIndexesGoWithTheirLayers() throws {
    let layers = try (0..<3).map { try scratch.layer("f\($0)", "x") }
    _ = try store.lowers(of: [layers[0].diffID, layers[1].diffID], merged: true)
    _ = try store.lowers(of: [layers[1].diffID, layers[2].diffID], merged: true)
    func count() throws -> Int { try Directory(store.paths.stacks).entries().count }
    #expect(try count() == 2)
    try store.removeLayer(layers[0].diffID)
    #expect(try count() == 1)
    try store.removeLayer(layers[1].diffID)
    #expect(try count() == 0)
  }

  @Test func theFormIsProbedOnceAndCanBeSet() throws {
    let form = try scratch.another().layerForm()
    let kept = String(decoding: try HostPath.read("\(store.root)/layer-form"), as: UTF8.self)
    #expect(kept.hasPrefix("\(form.rawValue)\n\(Machine.kernelRelease) "))
    if Machine.effectiveUserID != 0 { #expect(form == .tree) }
    // What holds for another kernel or another privilege is probed again.
    try HostPath.write(Array("loop\nelsewhere\n".utf8), to: "\(store.root)/layer-form")
    #expect(try scratch.another().layerForm() == form)
  }

  @Test(arguments: [
    (SystemError.Code.notPermitted, LayerForm.tree, true), (.notBlockDevice, .loop, true),
    (.tooManyFiles, .loop, false),
    (.noSpace, .loop, false),
  ])
  func onlyTheKernelsOwnRefusalIsKept(file: SystemError.Code, form: LayerForm, isKept: Bool) throws {
    let store = try scratch.another()
    let kept = "\(store.root)/layer-form"
    let works: (String, String) throws -> OpenFile = { _, tar in
      // A directory that shows what the probe's index does.
      let folder = try store.makeTemporaryDirectory()
      try HostPath.write(Array("probe".utf8), to: folder + "/probe")
      return try Directory(folder).file
    }
    let found = try store.keptForm(file: { _, _ in throw SystemError(file, "mount") }, loop: works)
    #expect(found == LayerFormFinding(form: form, reason: file.text))
    #expect(try (HostPath.status(kept) != nil) == isKept)
    let next = try store.keptForm(file: works, loop: works)
    #expect(next == (isKept ? found : LayerFormFinding(form: .file)))
  }

  @Test func missingLoopDevicesAreNotKept() throws {
    let store = try scratch.another()
    let found = try store.keptForm(
      file: { _, _ in throw SystemError(.invalid, "mount") }, loop: { _, _ in throw SystemError(.noEntry, "attach") })
    #expect(found.form == .tree)
    #expect(try HostPath.status("\(store.root)/layer-form") == nil)
  }

  @Test func withoutFileMountsLayersGoThroughLoopDevices() throws {
    // The kernel mounts nothing from a file on a tmpfs.
    guard Machine.effectiveUserID == 0, Machine.capabilities.capabilities.contains(.sysAdmin),
      HostPath.fileSystemType("/dev/shm") == 0x0102_1994, try HostPath.status("/dev/loop-control") != nil
    else { return }
    let folder = try HostPath.makeTemporaryDirectory("/dev/shm/stave-store-test-")
    defer { try? HostPath.removeTree(folder) }
    let store = try Store.open(root: folder + "/store")
    #expect(try store.layerForm() == .loop)
    #expect(try store.layerFormReason() != nil)
  }
}
