internal import Core
internal import Linux

extension LayerIndex {
  /// The pieces of the regular file `inode`, neighbours joined, holes left out, none beyond its size or its tar. Throws
  /// if the chunks that say it are malformed.
  public func extents(_ inode: Inode) throws -> [IndexTree.Extent] {
    guard inode.kind == .regular else { throw image.damaged("inode \(inode.number) is no file") }
    if inode.size == 0 { return [] }
    if inode.layout == ErofsFormat.flatPlain { return [try whole(inode)] }
    guard inode.layout == ErofsFormat.chunkBased, inode.detail & 0x20 != 0, inode.detail & ~0x3f == 0 else {
      throw image.damaged("inode \(inode.number) has no chunks")
    }
    let chunkSize = Int64(ErofsFormat.blockSize) << Int64(inode.detail & 0x1f)
    let count = (inode.size - 1) / chunkSize + 1
    // What can't be in the file need not be counted.
    guard count <= Int64(image.bytes.count / 8) else {
      throw image.damaged("the chunks of inode \(inode.number) are cut")
    }
    let start = (inode.attributesEnd + 7) & ~7
    var out: [IndexTree.Extent] = []
    for number in 0..<Int(count) {
      let at = start + number * 8
      let block = try image.u32(at + 4)
      if block == ErofsFormat.nullAddress { continue }
      let device = try Int(image.u16(at + 2)) - 1
      let offset = Int64(number) * chunkSize
      let length = min(chunkSize, inode.size - offset)
      let place = Int64(block) * Int64(ErofsFormat.blockSize)
      guard devices.indices.contains(device), try image.u16(at) == 0, place + length <= devices[device] else {
        throw image.damaged("a chunk of inode \(inode.number) lies outside of its tar")
      }
      if let last = out.last, last.device == device, last.offset + last.length == offset,
        last.start + last.length == place
      {
        out[out.count - 1].length += length
      } else {
        out.append(IndexTree.Extent(offset: offset, device: device, start: place, length: length))
      }
    }
    return out
  }

  /// The one piece of a file that only says at which of the blocks of all tars it begins.
  private func whole(_ inode: Inode) throws -> IndexTree.Extent {
    // The last tar that begins at or before it.
    var low = 0
    var high = deviceStarts.count
    while low < high {
      let middle = (low + high) / 2
      if deviceStarts[middle] <= inode.detail { low = middle + 1 } else { high = middle }
    }
    guard low > 0, deviceStarts[low - 1] > 0 else {
      throw image.damaged("the data of inode \(inode.number) are in no tar")
    }
    let start = Int64(inode.detail - deviceStarts[low - 1]) * Int64(ErofsFormat.blockSize)
    guard inode.size <= devices[low - 1], start <= devices[low - 1] - inode.size else {
      throw image.damaged("the data of inode \(inode.number) lie outside of its tar")
    }
    return IndexTree.Extent(offset: 0, device: low - 1, start: start, length: inode.size)
  }

  /// The metadata of `inode` with `attributes`.
  func node(_ inode: Inode, attributes: [TarEntry.ExtendedAttribute]) throws -> TreeNode {
    let device = device(inode)
    var node = TreeNode(
      kind: inode.kind, mode: inode.mode, uid: inode.uid, gid: inode.gid,
      size: inode.kind == .regular ? inode.size : 0, mtime: inode.mtime,
      linkTarget: inode.kind == .symlink ? try linkTarget(inode) : [], deviceMajor: device.major,
      deviceMinor: device.minor, xattrs: attributes)
    if inode.kind == .regular, inode.linkCount > 1 {
      node.hardLinkKey = TreeNode.HardLinkKey(device: 0, inode: inode.number)
    }
    return node
  }
}
