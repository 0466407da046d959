internal import Core

/// What a whiteout member of a layer hides (OCI image-spec 1.1, layer.md, Whiteouts).
enum LayerWhiteout: Equatable {
  static let prefix: [UInt8] = Array(".wh.".utf8)
  static let opaqueName: [UInt8] = Array(".wh..wh..opq".utf8)
  private static let reservedPrefix: [UInt8] = Array(".wh..wh.".utf8)

  /// The path of lower layers that is hidden.
  case removal(TreePath)
  /// All that lower layers have in the directory that holds the member.
  case opaque

  /// Nil if `path` names no whiteout.
  init?(_ path: TreePath) {
    let name = path.name
    guard name.starts(with: LayerWhiteout.prefix) else { return nil }
    if name.elementsEqual(LayerWhiteout.opaqueName) {
      self = .opaque
      return
    }
    let hidden = name.dropFirst(LayerWhiteout.prefix.count)
    // `.wh.`, `.wh..` and `.wh...` name nothing.
    guard !hidden.isEmpty, hidden != [46], hidden != [46, 46] else { return nil }
    self = .removal(path.parent.child(hidden))
  }

  /// What overlayfs has on a directory that shows nothing of lower layers.
  static let opaqueAttribute = TarEntry.ExtendedAttribute("trusted.overlay.opaque", [UInt8(ascii: "y")])

  /// What an index has on a directory that no member of its tar describes: where a lower layer has the directory too,
  /// that one's metadata count. overlayfs shows no attribute of this prefix.
  static let impliedAttribute = TarEntry.ExtendedAttribute("trusted.overlay.implied", [UInt8(ascii: "y")])

  /// What an index has on its root if it has implied directories.
  static let impliedBelowAttribute = TarEntry.ExtendedAttribute("trusted.overlay.implied", Array("below".utf8))

  /// Whether a component of `path` is one of aufs' own names, which no layer shows.
  static func hasReservedComponent(_ path: TreePath) -> Bool {
    // Nearly no path has a component that begins like this: they are looked at without taking the path apart.
    var isStart = true
    for (i, byte) in path.bytes.enumerated() {
      if isStart, byte == UInt8(ascii: "."), path.bytes[i...].starts(with: reservedPrefix) {
        return path.components.contains { isReserved($0) }
      }
      isStart = byte == UInt8(ascii: "/")
    }
    return false
  }

  /// Whether a component of a path is one of aufs' own names, which no layer shows.
  static func isReserved(_ name: ArraySlice<UInt8>) -> Bool {
    name.starts(with: reservedPrefix) && !name.elementsEqual(opaqueName)
  }

  /// Whether the extended attribute `name` is overlayfs' own.
  static func isOverlayAttribute(_ name: String) -> Bool {
    name.hasPrefix("trusted.overlay.") || name.hasPrefix("user.overlay.")
  }
}
