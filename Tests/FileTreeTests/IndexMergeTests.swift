import Core
import FileTree
import Linux
import Testing

/// The merged view over indexes is that over trees, that of one merged index, and what overlayfs shows.
@Suite struct IndexMergeTests {
  @Test(arguments: 0..<24) func allViewsAgree(_ seed: Int) throws {
    let folder = try LayerFolder()
    var stacks = LayerStacks(seed: UInt64(seed) + 1)
    for _ in 0..<(2 + stacks.next(5)) { try folder.add(try stacks.layer()) }
    let layers = Array((0..<folder.count).reversed())
    let expected = try listing(MergedTree(layers.map { try folder.index($0) }))
    #expect(try listing(MergedTree([folder.merged(layers)])) == expected)
    // Cut anywhere: whiteouts of the upper part hide what the lower part has.
    let cut = 1 + stacks.next(layers.count - 1)
    let upper = try folder.merged(Array(layers[..<cut]), isBottom: false, "upper")
    let lower = try folder.merged(Array(layers[cut...]), "lower")
    #expect(try listing(MergedTree([upper, lower])) == expected)
    guard Machine.effectiveUserID == 0 else { return }
    #expect(try listing(MergedTree(layers.map { try folder.tree($0) })) == expected)
    let mixed = try layers.map { number -> any LayerView in
      if number % 2 == 0 { return try folder.tree(number) }
      return try folder.index(number)
    }
    #expect(try listing(MergedTree(mixed)) == expected)
  }

  /// Whatever stood at the name before: a directory that a whiteout of the same layer is for shows nothing from below.
  @Test func aHiddenNameThatBecomesADirectoryIsOpaque() throws {
    func entry(_ path: String, _ kind: TarEntry.Kind = .regular) -> (TarEntry, [UInt8]) {
      (TarEntry(path: TreePath(clamping: path), kind: kind, mode: 0o755), [])
    }
    let folder = try LayerFolder()
    let names = ["a", "b", "c", "e", "p/f"]
    try folder.add(archive(names.map { entry("\($0)/old") } + [entry("kept/old")]).bytes)
    try folder.add(
      archive([
        entry("a"), entry(".wh.a"), entry("a", .directory), entry(".wh.b"), entry("b"), entry("b", .directory),
        entry("c"), entry("c", .directory), entry(".wh.c"), entry(".wh.e"), entry("e", .fifo), entry(".wh.e"),
        entry("e", .directory), entry("e/new"), entry("p/f"), entry("p/.wh.f"), entry("p/f", .directory),
        entry("kept"), entry("kept", .directory),
      ]).bytes)
    var views = [MergedTree([try folder.index(1), try folder.index(0)]), MergedTree([try folder.merged([1, 0])])]
    if Machine.effectiveUserID == 0 { views.append(MergedTree([try folder.tree(1), try folder.tree(0)])) }
    for view in views {
      for name in names {
        #expect(try view.entry(TreePath(clamping: "\(name)/old")) == nil, "\(name)")
        #expect(try view.entry(TreePath(clamping: name))?.kind == .directory, "\(name)")
      }
      #expect(try view.entry(TreePath(clamping: "e/new")) != nil)
      #expect(try view.entry(TreePath(clamping: "kept/old")) != nil)
    }
  }

  @Test(.enabled(if: Machine.effectiveUserID == 0), arguments: 0..<8) func overlayfsAgrees(_ seed: Int) throws {
    let folder = try LayerFolder()
    var stacks = LayerStacks(seed: UInt64(seed) + 1000)
    for _ in 0..<(2 + stacks.next(5)) { try folder.add(try stacks.layer()) }
    let layers = Array((0..<folder.count).reversed())
    let expected = try listing(MergedTree(layers.map { try folder.index($0) }))
    try folder.withOverlay(layers.map { "\(folder.path)/\($0)/tree" }) { mounted in
      let shown = try listing(HostTree(mounted, owner: .asIs))
      #expect(shown == expected)
    }
    // Where the kernel mounts no indexes from files, the trees have to do.
    guard let top = try? ErofsMount.open(index: "\(folder.path)/0/index", devices: ["\(folder.path)/0/tar"]) else {
      return
    }
    withExtendedLifetime(top) {}
    let mounts = try layers.map {
      try ErofsMount.open(index: "\(folder.path)/\($0)/index", devices: ["\(folder.path)/\($0)/tar"])
    }
    try folder.withOverlay(mounts.map { "/proc/\(Machine.processID)/fd/\($0.descriptor)" }) { mounted in
      let shown = try listing(HostTree(mounted, owner: .asIs))
      #expect(shown == expected)
    }
    _ = try folder.merged(layers)
    let one = try ErofsMount.open(
      index: "\(folder.path)/merged", devices: layers.reversed().map { "\(folder.path)/\($0)/tar" })
    #expect(try listing(HostTree(Directory("/proc/self/fd/\(one.descriptor)"), owner: .asIs)) == expected)
  }
}
