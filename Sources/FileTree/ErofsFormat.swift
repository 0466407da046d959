internal import Core
internal import Linux

/// Numbers of the EROFS on-disk format (Linux, fs/erofs/erofs_fs.h), as far as a layer index uses it: blocks of 512
/// bytes, extended inodes, flat directories and links, files in chunks on other devices.
enum ErofsFormat {
  static let blockBits = 9
  static let blockSize = 512
  static let superOffset = 1024
  static let superSize = 128
  static let magic: UInt32 = 0xE0F5_E1E2
  static let slotSize = 128
  static let inodeSize = 64
  static let compactInodeSize = 32
  /// A node id counts units of 32 bytes from the start of the file.
  static let nodeUnit = 32
  static let direntSize = 12
  static let maximumName = 255
  static let maximumLinkTarget = 4095
  static let nullAddress = UInt32.max
  /// Chunks of at most 2^(9 + 31) bytes.
  static let maximumChunkBits = 31
  /// More chunks than this in one file are left to an unpacked tree.
  static let maximumChunks: Int64 = 1 << 20
  static let chunkIndexes: UInt16 = 0x20
  /// With fewer blocks than this in all devices, and in the image itself, one address space holds all of them.
  static let maximumUnified: Int64 = 1 << 31

  /// feature_compat: the superblock has a checksum; times are those of modification.
  static let compatible: UInt32 = 0x1 | 0x2
  /// feature_incompat: files in chunks, and a table of devices.
  static let chunkedFile: UInt32 = 0x4
  static let deviceTable: UInt32 = 0x8

  /// Values of i_format: the version in bit 0, the layout above it.
  static let extended: UInt16 = 1
  static let flatPlain: UInt16 = 0 << 1
  static let flatInline: UInt16 = 2 << 1
  static let chunkBased: UInt16 = 4 << 1

  static let typeMask: UInt16 = 0o170_000
  static let fifoType: UInt16 = 0o010_000
  static let characterType: UInt16 = 0o020_000
  static let directoryType: UInt16 = 0o040_000
  static let blockType: UInt16 = 0o060_000
  static let regularType: UInt16 = 0o100_000
  static let symlinkType: UInt16 = 0o120_000
  static let socketType: UInt16 = 0o140_000

  /// The type bits of st_mode.
  static func type(of kind: TreeNode.Kind) -> UInt16 {
    switch kind {
    case .regular: regularType
    case .directory: directoryType
    case .symlink: symlinkType
    case .characterDevice: characterType
    case .blockDevice: blockType
    case .fifo: fifoType
    case .socket: socketType
    }
  }

  /// What the type bits of `mode` say, nil if they say nothing.
  static func kind(ofMode mode: UInt16) -> TreeNode.Kind? {
    switch mode & typeMask {
    case regularType: .regular
    case directoryType: .directory
    case symlinkType: .symlink
    case characterType: .characterDevice
    case blockType: .blockDevice
    case fifoType: .fifo
    case socketType: .socket
    default: nil
    }
  }

  static func isDevice(_ mode: UInt16) -> Bool {
    mode & typeMask == characterType || mode & typeMask == blockType
  }

  /// The file_type of a directory entry: FT_REG_FILE 1, FT_DIR 2, FT_CHRDEV 3, FT_BLKDEV 4, FT_FIFO 5, FT_SOCK 6,
  /// FT_SYMLINK 7.
  static func entryType(ofMode mode: UInt16) -> UInt8 {
    switch mode & typeMask {
    case regularType: 1
    case directoryType: 2
    case characterType: 3
    case blockType: 4
    case fifoType: 5
    case socketType: 6
    default: 7
    }
  }

  /// The number of blocks that `size` bytes take, nil if no block address reaches them.
  static func blocks(_ size: Int64) -> UInt32? {
    guard size >= 0, size <= Int64(nullAddress - 1) * Int64(blockSize) else { return nil }
    return UInt32((size + Int64(blockSize) - 1) / Int64(blockSize))
  }

  /// A device number as inodes have it (Linux, new_encode_dev): 12 bits of major, 20 of minor.
  static func deviceNumber(_ major: UInt32, _ minor: UInt32) throws -> Int64 {
    guard major < 1 << 12, minor < 1 << 20 else {
      throw Failure("index layer", "Linux has no device \(major):\(minor)")
    }
    return Int64((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12))
  }

  /// The inverse of `deviceNumber(_:_:)`.
  static func majorMinor(_ number: UInt32) -> (UInt32, UInt32) {
    ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00))
  }
}
