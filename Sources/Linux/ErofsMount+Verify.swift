internal import Core

extension ErofsMount {
  /// Checks that `index` is whole and that `devices` are as many and as large as it says, and has it read into the page
  /// cache: a mount that reads a cold index page by page can trip a warning of the kernel (ext4_check_map_extents_env).
  /// The kernel itself finds none of this: without its device, or with a shorter one, a mount succeeds and reads fail.
  /// Throws a `Failure`.
  public static func verify(index: String, devices: [String]) throws {
    let file = try OpenFile(index)
    let sizes = try checkedDeviceBlocks(file)
    guard sizes.count == devices.count else {
      throw Failure("mount index \(index)", "it is made for \(sizes.count) tars, not \(devices.count)")
    }
    for (size, device) in zip(sizes, devices) {
      let found = try OpenFile(device).status().size
      guard (found + 511) / 512 == size else {
        throw Failure(
          "mount index \(index)", "\(device) has \(found) bytes where the index says \(size) blocks of 512")
      }
    }
  }

  /// Reads the whole of the index `file` and compares it with its checksum. Returns the sizes of its devices in blocks
  /// of 512 bytes. Throws a `Failure` if it is no index, cut or damaged.
  public static func checkedDeviceBlocks(_ file: OpenFile) throws -> [Int64] {
    let size = try file.status().size
    let damaged = { (reason: String) in Failure("read index \(file.path)", reason) }
    guard size >= 2048, size % 512 == 0 else { throw damaged("it is not whole") }
    let trailerBytes = try read(file, at: size - 512, count: 512)
    guard let trailer = IndexTrailer(trailerBytes), trailer.fileSize == size else {
      throw damaged("it has no valid trailer")
    }
    var sum = CRC32C()
    var at: Int64 = 0
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 4096)
    defer { buffer.deallocate() }
    while at < size - 512 {
      let room = Int(min(Int64(buffer.count), size - 512 - at))
      let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]), at: at)
      guard count > 0 else { throw damaged("it is not whole") }
      sum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      at += Int64(count)
    }
    guard sum.value == trailer.checksum else { throw damaged("its checksum is wrong") }
    return try deviceSizes(file, size, damaged)
  }

  /// The device table: `extra_devices` and `devt_slotoff` of the superblock, slots of 128 bytes with the size at 64.
  private static func deviceSizes(_ file: OpenFile, _ size: Int64, _ damaged: (String) -> Failure) throws -> [Int64] {
    let block = try read(file, at: 1024, count: 128)
    let number = { (bytes: [UInt8], at: Int, count: Int) in
      (0..<count).reduce(0) { $0 | Int64(bytes[at + $1]) << (8 * Int64($1)) }
    }
    guard number(block, 0, 4) == 0xE0F5_E1E2 else { throw damaged("it is no EROFS image") }
    let count = number(block, 86, 2)
    let start = number(block, 88, 2) * 128
    guard start + count * 128 <= size else { throw damaged("its device table is cut") }
    let table = try read(file, at: start, count: Int(count) * 128)
    return (0..<Int(count)).map { number(table, $0 * 128 + 64, 4) }
  }

  private static func read(_ file: OpenFile, at offset: Int64, count: Int) throws -> [UInt8] {
    var out = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = try out.withUnsafeMutableBytes {
        try file.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]), at: offset + Int64(filled))
      }
      guard got > 0 else { throw Failure("read index \(file.path)", "it is not whole") }
      filled += got
    }
    return out
  }
}
