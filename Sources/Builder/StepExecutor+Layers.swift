internal import Core
internal import FileTree
internal import Graph
internal import Linux
internal import Store

/// What an overlay or a view of a stack is made of.
struct StackPlaces: Sendable {
  /// Topmost first.
  var lowers: [ProcessSpec.LowerLayer] = []
  /// The folders of layers that are not in the store: to be kept as long as the overlay or the view is used.
  var folders: [StepFolder] = []
  /// The paths in `lowers` of such folders: to be kept until the overlay is mounted.
  var uses: [StepFolder.Use] = []
}

extension StepExecutor {
  /// The lowers of an overlay on `stack`.
  func lowers(_ stack: LayerStack) throws -> StackPlaces {
    var out = StackPlaces()
    let parts = try parts(stack)
    for (number, part) in parts.enumerated() {
      switch part {
      case .stored(let layers): out.lowers += try store.lowers(of: layers, isBottom: number == parts.count - 1)
      case .upper(let folder):
        let use = folder.use()
        out.lowers.append(.tree(use.path))
        out.uses.append(use)
        out.folders.append(folder)
      }
    }
    return out
  }

  /// Runs `body` while the folders of layers that are not in the store yet stay: a view reads them until it is done.
  func holding<T>(_ stacks: [LayerStack], _ body: () throws -> T) throws -> T {
    let folders = try stacks.flatMap { stack in
      try stack.layers.compactMap { layer -> StepFolder? in
        if case .upper(let folder) = try layer.place() { folder } else { nil }
      }
    }
    return try withExtendedLifetime(folders, body)
  }

  /// The merged view of a stack, without a mount. Within `holding`, since it does not keep pending layers.
  func view(_ stack: LayerStack, label: String = "the image") throws -> MergedTree {
    MergedTree(
      try parts(stack).flatMap { part -> [any LayerView] in
        switch part {
        case .stored(let layers): try store.layerViews(of: layers)
        case .upper(let folder): [TreeLayer(folder.upperDirectory)]
        }
      }, label: label)
  }

  /// A part of a stack: neighbouring layers of the store, lowest first, or one that is being packed.
  private enum Part {
    case stored([Digest])
    case upper(StepFolder)
  }

  /// The parts of `stack`, topmost first. A layer that stands twice is taken where it is uppermost: overlayfs refuses
  /// the same lower twice, and all that the lower one shows, the upper one shows too. Empty layers show nothing.
  ///
  /// A stored layer above one that is being packed was made in this build, and holds all directories above its files:
  /// it can be unpacked without knowing what is below.
  private func parts(_ stack: LayerStack) throws -> [Part] {
    var out: [Part] = []
    var stored: [Digest] = []
    var seen: Set<Digest> = [Store.emptyDiffID]
    for layer in stack.layers.reversed() {
      switch try layer.place() {
      case .stored(let diffID): if seen.insert(diffID).inserted { stored.append(diffID) }
      case .upper(let folder):
        if !stored.isEmpty { out.append(.stored(stored.reversed())) }
        stored = []
        out.append(.upper(folder))
      }
    }
    if !stored.isEmpty { out.append(.stored(stored.reversed())) }
    return out
  }
}
