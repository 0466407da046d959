internal import Core
public import Linux

/// One layer as overlayfs sees a lower directory: its own nodes, whiteouts and opaque marks, nothing of the layers
/// below.
///
/// What a layer gives in a `LayerEntry` is good for the same layer only. A damaged layer throws.
public protocol LayerView: Sendable {
  /// The layer's root directory.
  func root() throws -> LayerEntry

  /// Whether nothing of lower layers shows at all: the root is opaque. Overlayfs does not look at a lower's root for
  /// that, so who makes an overlay leaves out what is below.
  var hidesAllBelow: Bool { get throws }

  /// The entry `name` of `directory`, nil if there is none. `name` is one component.
  func lookup(_ name: [UInt8], in directory: LayerEntry) throws -> LayerEntry?

  /// All entries of `directory`, sorted by the bytes of their names.
  func children(of directory: LayerEntry) throws -> [(name: [UInt8], entry: LayerEntry)]

  /// Whether nothing of lower layers shows in `directory`.
  func isOpaque(_ directory: LayerEntry) throws -> Bool

  /// Whether the layer has `directory` only because something in it is there: the metadata are those that lower layers
  /// have.
  func isImplied(_ directory: LayerEntry) throws -> Bool

  /// The metadata of `entry`, of its attributes those that COPY and ADD keep.
  func node(_ entry: LayerEntry) throws -> TreeNode

  /// The data of the regular file `entry`.
  func open(_ entry: LayerEntry) throws -> FilePart
}

extension LayerView {
  public var hidesAllBelow: Bool { get throws { try isOpaque(root()) } }
}

/// Something in a layer: what overlayfs must know to merge, and how the layer finds the rest.
public struct LayerEntry: Sendable {
  public var kind: FileStatus.Kind
  /// A character device 0/0: hides what lower layers have there.
  public var isWhiteout: Bool
  /// Where the layer finds it: in a tree of files by its path, in an index by the number of its inode.
  enum Place {
    case path(TreePath, FileStatus)
    case inode(UInt64)
  }
  let place: Place

  init(kind: FileStatus.Kind, isWhiteout: Bool, place: Place) {
    self.kind = kind
    self.isWhiteout = isWhiteout
    self.place = place
  }

  /// The attributes that mark a directory as opaque, with the value `y` (Documentation/filesystems/overlayfs.rst).
  static let opaqueAttributes = ["trusted.overlay.opaque", "user.overlay.opaque"]
}
