internal import Core

/// The extended attributes of one file, overlayfs' own understood and taken out.
struct UpperAttributes {
  var kept: [TarEntry.ExtendedAttribute] = []
  var isOpaque = false
  var isWhiteout = false
  /// Whether overlayfs copied the file up from a lower layer.
  var isCopiedUp = false

  init(_ names: [String], _ path: TreePath, _ value: (String) throws -> [UInt8]?) throws {
    for name in names {
      if LayerWhiteout.isOverlayAttribute(name) {
        try understand(String(name.split(separator: ".", maxSplits: 2).last ?? ""), path) { try value(name) }
        continue
      }
      if name.hasPrefix("security.") && name != "security.capability" { continue }
      if let value = try value(name) { kept.append(TarEntry.ExtendedAttribute(name, value)) }
    }
  }

  private mutating func understand(_ name: String, _ path: TreePath, _ value: () throws -> [UInt8]?) throws {
    switch name {
    // `x` only says that whiteouts in the directory may be attributes.
    case "opaque": isOpaque = try value() == [UInt8(ascii: "y")] || isOpaque
    case "whiteout": isWhiteout = true
    case "redirect", "metacopy":
      throw Failure(
        "pack \(path)", "the overlay was mounted with redirect_dir or metacopy: its upper is not complete")
    case "origin": isCopiedUp = true
    // impure, nlink, uuid, protattr: for overlayfs alone.
    default: break
    }
  }
}
