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
