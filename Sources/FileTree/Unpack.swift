public import Core
public import Linux

/// How the whiteouts of a layer (`.wh.name`, `.wh..wh..opq`) are unpacked.
public enum UnpackWhiteouts: Sendable, Equatable {
  /// As overlayfs has them in a lower directory: 0/0 character devices and `trusted.overlay.opaque`.
  case overlay
  /// As overlayfs has them when it was mounted with `userxattr`: the same with `user.overlay.opaque`.
  case overlayUser
  /// By removing what the directory holds from earlier layers.
  case apply

  /// As overlayfs reads them where this process mounts it.
  public static var native: UnpackWhiteouts { UserNamespace.usesUserAttributes ? .overlayUser : .overlay }
}

/// What unpacking a layer could not keep, without being a failure.
public struct UnpackReport: Sendable, Equatable {
  /// Members of the archive.
  public var entryCount = 0
  /// `/path: attribute` of extended attributes that the file system or the kernel refused, in their order.
  public var refusedAttributes: [String] = []
  /// Device nodes that the kernel refused to make, as in every user namespace, in their order.
  public var refusedDevices: [TreePath] = []
  public init() {}
}

/// A file of a lower layer, to which a hard link of this layer leads: its metadata and its data.
public struct LowerFile {
  public var entry: TarEntry
  public var data: ByteSource
  public init(_ entry: TarEntry, _ data: ByteSource) {
    self.entry = entry
    self.data = data
  }
}

/// Unpacks the layer tar `source` (plain bytes: see `Decompressor`) into `directory`, up to the end of the source.
///
/// Nothing outside `directory` is read or written: names with `..` fail, absolute names and symbolic links in the way
/// lead inside. Missing parents are made with mode 0755, owned by root, of 1970. A member replaces what an earlier one
/// left at its path, except that directories unite. `trusted.overlay.*` and `user.overlay.*` attributes of the archive
/// are never set: they would redirect look-ups. If `keepOwners` is false every file belongs to the caller, and
/// so does one whose owner is no id of this process's user namespace.
/// `lowerLookup` finds the target of a hard link that this layer does not hold, or nil.
@discardableResult
public func unpackLayer(
  _ source: ByteSource, into directory: Directory, whiteouts: UnpackWhiteouts = .native,
  keepOwners: Bool = UserNamespace.canChangeOwners,
  lowerLookup: ((TreePath) throws -> LowerFile?)? = nil
) throws -> UnpackReport {
  let reader = TarReader(source)
  let unpacker = LayerUnpacker(directory, whiteouts: whiteouts, keepOwners: keepOwners, lowerLookup: lowerLookup)
  while let member = try reader.next() {
    do {
      try unpacker.add(member, reader)
    } catch let error as SystemError {
      throw error.failure.during("unpack \(member.entry.path)")
    }
  }
  try reader.drain()
  try unpacker.finish()
  return unpacker.report
}
