public import Core
public import FileTree
internal import Linux

extension Store {
  /// The merged view of a stack of layers (`diffIDs` lowest first), without a mount and without root. `label` is what
  /// messages call it.
  public func view(of diffIDs: [Digest], label: String = "the image") throws -> MergedTree {
    MergedTree(try layerViews(of: diffIDs), label: label)
  }

  /// The layers of a stack (`diffIDs` lowest first) to look into, topmost first.
  public func layerViews(of diffIDs: [Digest]) throws -> [any LayerView] {
    var out: [any LayerView] = []
    for place in distinct(diffIDs) {
      let layer = try layerView(diffIDs[place], lowers: Array(diffIDs[..<place]))
      out.append(layer)
      if try layer.hidesAllBelow { break }
    }
    return out
  }

  /// What a container on the layers `diffIDs` (lowest first) needs: the lowers of its overlay, topmost first, and the
  /// view of them. Where layers are mounted from indexes the whole stack has one, made on the first call.
  public func root(of diffIDs: [Digest]) throws -> (lowers: [ProcessSpec.LowerLayer], view: MergedTree) {
    let form = try layerForm()
    if form != .tree, diffIDs.count > 1, let (index, layer) = try knownStack(distinctLayers(diffIDs)) {
      return ([.erofs(index: index, devices: layer.tarPaths, loop: form == .loop)], MergedTree([layer]))
    }
    return (try lowers(of: diffIDs, merged: true), try view(of: diffIDs))
  }

  /// How many consecutive layers of a deep stack become one index.
  static let groupSize = 16

  /// The lowers of an overlay that shows a stack of layers (`diffIDs` lowest first), topmost first: each layer's index
  /// and tar, or its tree, as `layerForm` says. Deep stacks have a merged index for every 16 layers; `merged` asks for
  /// one of the whole stack, for what runs long or often. Unless it is the `isBottom`, others lie below the stack.
  public func lowers(
    of diffIDs: [Digest], merged: Bool = false, isBottom: Bool = true
  ) throws -> [ProcessSpec.LowerLayer] {
    let form = try layerForm()
    if form == .tree { return try trees(of: diffIDs).map { .tree($0) } }
    let layers = try lowerLayers(diffIDs)
    var out: [ProcessSpec.LowerLayer] = []
    let groups = Store.groups(layers, isWhole: merged || Store.needMerging(layers), isBottom: isBottom)
    for group in groups {
      switch group {
      case .tree(let path): out.append(.tree(path))
      case .indexes(let members, let isBottom):
        let devices = members.reversed().map { paths.tar($0.diffID) }
        let index =
          members.count == 1
          ? paths.layerIndex(members[0].diffID)
          : try stackIndex(
            members, of: groups.count == 1 ? distinctLayers(diffIDs) : members.map(\.diffID), isBottom: isBottom)
        out.append(.erofs(index: index, devices: devices, loop: form == .loop))
      }
    }
    return out
  }

  /// The layers of a stack, topmost first, down to one that hides all below it.
  private func lowerLayers(_ diffIDs: [Digest]) throws -> [Lower] {
    var out: [Lower] = []
    let places = distinct(diffIDs)
    let indexes = try places.map { try indexLayer(diffIDs[$0]) }
    let isMixed = indexes.contains { $0 == nil }
    for (place, index) in zip(places, indexes) {
      // A merged index knows what directories without a member look like, a lower that is mounted by itself does not.
      if let index, !(isMixed && index.hasImpliedDirectories && place > 0) {
        out.append(.index(diffIDs[place], index))
        if index.hidesAllBelow { break }
      } else {
        let tree = try treePath(diffIDs[place], lowers: Array(diffIDs[..<place]))
        out.append(.tree(tree))
        if try TreeLayer(Directory(tree)).hidesAllBelow { break }
      }
    }
    return out
  }

  private static func needMerging(_ layers: [Lower]) -> Bool {
    layers.dropLast().contains { if case .index(_, let index) = $0 { index.hasImpliedDirectories } else { false } }
  }

  /// A layer as a lower.
  private enum Lower {
    case index(Digest, IndexLayer)
    case tree(String)
  }

  /// Layers that are mounted as one.
  private enum Group {
    /// Topmost first.
    case indexes([IndexedLayer], isBottom: Bool)
    case tree(String)
  }

  /// `layers`, top first, cut into what is mounted together, top first. Counted from the bottom, so that the groups of
  /// a stack stay those of a stack with more layers on top.
  private static func groups(_ layers: [Lower], isWhole: Bool, isBottom: Bool) -> [Group] {
    var out: [Group] = []
    var run: [IndexedLayer] = []
    var isBottom = isBottom
    func close() {
      var rest = run[...]
      let size = isWhole ? max(1, run.count) : groupSize
      while rest.count >= size {
        out.append(.indexes(rest.prefix(size).reversed(), isBottom: isBottom))
        rest = rest.dropFirst(size)
        isBottom = false
      }
      for layer in rest {
        out.append(.indexes([layer], isBottom: isBottom))
        isBottom = false
      }
      run = []
    }
    for layer in layers.reversed() {
      switch layer {
      case .index(let diffID, let index): run.append(IndexedLayer(diffID: diffID, layer: index))
      case .tree(let path):
        close()
        out.append(.tree(path))
        isBottom = false
      }
    }
    close()
    return out.reversed()
  }

  /// The places of a stack's layers, topmost first, each layer once: all that the lower one of two equal layers shows,
  /// the upper one shows too.
  func distinct(_ diffIDs: [Digest]) -> [Int] {
    var seen: Set<String> = []
    return diffIDs.indices.reversed().filter { seen.insert(diffIDs[$0].encoded).inserted }
  }

  /// The layers at those places: what names a whole stack.
  private func distinctLayers(_ diffIDs: [Digest]) -> [Digest] { distinct(diffIDs).map { diffIDs[$0] } }
}

/// A layer with its open index.
struct IndexedLayer: Sendable {
  var diffID: Digest
  var layer: IndexLayer
}
