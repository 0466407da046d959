internal import Core
internal import Linux

/// The file of a `ContextIndex`: a hash table that is used as it lies in the page cache.
///
/// A header of 64 bytes: a magic text (16 bytes), the table's range, the number of slots, and how many savings there
/// were, 64 bits each. Then slots of 56 bytes in the order of their hashes. A slot stands at `hash * range >> 64` or as
/// few places behind as the order allows; the table ends with as many slots as that takes. Numbers have the machine's
/// byte order: the file is for this machine alone.
final class IndexTable: Sendable {
  /// One remembered file.
  struct Slot {
    /// A hash of device and inode; 0 is an empty slot.
    var hash: UInt64 = 0
    /// A checksum of device, inode, size, times and of what is known.
    var check: UInt64 = 0
    var hasCapability: UInt32 = 0
    /// The number of the saving before which the entry was last of use.
    var epoch: UInt32 = 0
    var digest = RawDigest()

    init() {}

    init(_ file: FileIdentity, _ known: ContextIndex.Known) {
      hash = IndexTable.hash(file)
      hasCapability = known.hasCapability ? 1 : 0
      digest = known.digest
      check = checksum(file)
    }

    /// What `check` is if the slot is of `file`.
    func checksum(_ file: FileIdentity) -> UInt64 {
      var out = IndexTable.mix(0x2545_f491_4f6c_dd1d, file.device)
      out = IndexTable.mix(out, file.inode)
      out = IndexTable.mix(out, UInt64(bitPattern: file.size))
      out = IndexTable.mix(out, UInt64(bitPattern: file.mtime))
      out = IndexTable.mix(out, UInt64(bitPattern: file.ctime))
      out = IndexTable.mix(out, UInt64(file.mtimeNanoseconds) << 32 | UInt64(file.ctimeNanoseconds))
      out = IndexTable.mix(out, UInt64(hasCapability))
      let (a, b, c, d) = digest.words
      return IndexTable.mix(IndexTable.mix(IndexTable.mix(IndexTable.mix(out, a), b), c), d)
    }
  }

  private static let magic = Array("stave context 2\n".utf8)
  private static let headerSize = 64
  private static let slotSize = 56

  private let map: MappedFile?
  private let inode: UInt64
  private let range: UInt64
  private let count: Int
  private let epoch: UInt32
  /// A byte a slot: whether it was of use. Threads write nothing but 1 there.
  private let used: Used

  /// Maps the file `path`; a table without slots if it can't be used.
  init(_ path: String) {
    if let file = try? OpenFile(path), let map = try? MappedFile(file), map.bytes.count >= IndexTable.headerSize,
      map.bytes.prefix(16).elementsEqual(IndexTable.magic)
    {
      let range = map.bytes.load(fromByteOffset: 16, as: UInt64.self)
      let slots = map.bytes.load(fromByteOffset: 24, as: UInt64.self)
      let room = (map.bytes.count - IndexTable.headerSize) / IndexTable.slotSize
      if slots <= UInt64(room), range <= slots {
        self.map = map
        inode = (try? file.status().inode) ?? 0
        self.range = range
        count = Int(slots)
        epoch = UInt32(truncatingIfNeeded: map.bytes.load(fromByteOffset: 32, as: UInt64.self))
        used = Used(count)
        return
      }
    }
    map = nil
    inode = 0
    range = 0
    count = 0
    epoch = 0
    used = Used(0)
  }

  /// What the table says of `file`; marks it as of use.
  func find(_ file: FileIdentity) -> ContextIndex.Known? {
    let hash = IndexTable.hash(file)
    guard let index = position(hash) else { return nil }
    let slot = slot(index)
    guard slot.check == slot.checksum(file) else { return nil }
    used.mark(index)
    return ContextIndex.Known(digest: slot.digest, hasCapability: slot.hasCapability != 0)
  }

  private func position(_ hash: UInt64) -> Int? {
    var index = Int(hash.multipliedFullWidth(by: range).high)
    while index < count {
      let there = slotHash(index)
      if there == hash { return index }
      // The order of the slots: what is not here by now is nowhere.
      if there == 0 || there > hash { return nil }
      index += 1
    }
    return nil
  }

  private func slotHash(_ index: Int) -> UInt64 {
    guard let map else { return 0 }
    return map.bytes.loadUnaligned(
      fromByteOffset: IndexTable.headerSize + index * IndexTable.slotSize, as: UInt64.self)
  }

  private func slot(_ index: Int) -> Slot {
    var slot = Slot()
    guard let map else { return slot }
    let at = IndexTable.headerSize + index * IndexTable.slotSize
    slot.hash = map.bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    slot.check = map.bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)
    slot.hasCapability = map.bytes.loadUnaligned(fromByteOffset: at + 16, as: UInt32.self)
    slot.epoch = map.bytes.loadUnaligned(fromByteOffset: at + 20, as: UInt32.self)
    slot.digest = RawDigest(
      bytes: UnsafeRawBufferPointer(rebasing: map.bytes[(at + 24)..<(at + IndexTable.slotSize)]))
    return slot
  }

  /// Whether `path` names the file of this table: no other build has replaced it.
  func isStill(_ path: String) -> Bool {
    guard map != nil, let status = try? HostPath.status(path) else { return false }
    return status.inode == inode
  }

  /// Writes the table of `later` (what another build made of this one, if that is so), and of `new`, which is sorted by
  /// hash, into `file`.
  func merged(with later: IndexTable?, _ new: [Slot], into file: OpenFile) throws {
    let current = later ?? self
    let epoch = max(self.epoch, current.epoch) &+ 1
    var live = 0
    for index in 0..<current.count where current.isLive(index, usedIn: self, epoch) { live += 1 }
    let range = UInt64(live + new.count) * 5 / 4 + 16
    let output = Output(file, range: range)
    var at = 0
    for var slot: Slot in new {
      while at < current.count, current.slotHash(at) < slot.hash {
        if current.isLive(at, usedIn: self, epoch) { try output.add(current.kept(at, usedIn: self, epoch)) }
        at += 1
      }
      // What is known anew takes the place of what was.
      while at < current.count, current.slotHash(at) == slot.hash { at += 1 }
      slot.epoch = epoch
      try output.add(slot)
    }
    for index in at..<max(at, current.count) where current.isLive(index, usedIn: self, epoch) {
      try output.add(current.kept(index, usedIn: self, epoch))
    }
    try output.finish(IndexTable.magic, epoch: epoch)
  }

  /// Whether the slot is worth keeping.
  private func isLive(_ index: Int, usedIn user: IndexTable, _ epoch: UInt32) -> Bool {
    let slot = slot(index)
    return slot.hash != 0 && (epoch &- slot.epoch <= ContextIndex.patience || user.isUsed(slot.hash))
  }

  private func kept(_ index: Int, usedIn user: IndexTable, _ epoch: UInt32) -> Slot {
    var slot = slot(index)
    if user.isUsed(slot.hash) { slot.epoch = epoch }
    return slot
  }

  private func isUsed(_ hash: UInt64) -> Bool { position(hash).map { used.isMarked($0) } ?? false }

  static func hash(_ file: FileIdentity) -> UInt64 {
    max(1, mix(mix(0x9e37_79b9_7f4a_7c15, file.device), file.inode))
  }

  static func mix(_ state: UInt64, _ value: UInt64) -> UInt64 {
    let factor = 0xe703_7ed1_a0b4_28db ^ state << 1
    let (high, low) = (state ^ value ^ 0xa076_1d64_78bd_642f).multipliedFullWidth(by: factor)
    return (high ^ low) &+ value.byteSwapped &* 0x9e37_79b9_7f4a_7c15
  }

  /// Marks of slots. Races are harmless: a mark that is lost makes an entry look older.
  private final class Used: @unchecked Sendable {
    private let marks: UnsafeMutablePointer<UInt8>

    init(_ count: Int) {
      marks = .allocate(capacity: max(1, count))
      marks.initialize(repeating: 0, count: max(1, count))
    }

    deinit { marks.deallocate() }
    func mark(_ index: Int) { marks[index] = 1 }
    func isMarked(_ index: Int) -> Bool { marks[index] != 0 }
  }

  /// Writes slots, which come in the order of their hashes, to their places.
  private final class Output {
    private let file: OpenFile
    private let range: UInt64
    private var buffer: [UInt8] = []
    private var position = 0
    private var last: UInt64 = 0

    init(_ file: OpenFile, range: UInt64) {
      self.file = file
      self.range = range
      buffer.reserveCapacity(1 << 18)
      buffer.append(contentsOf: repeatElement(0, count: IndexTable.headerSize))
    }

    func add(_ slot: Slot) throws {
      // A file that was learned twice.
      if slot.hash == last { return }
      last = slot.hash
      let wanted = Int(slot.hash.multipliedFullWidth(by: range).high)
      pad(to: wanted)
      position += 1
      withUnsafeBytes(of: slot.hash) { buffer.append(contentsOf: $0) }
      withUnsafeBytes(of: slot.check) { buffer.append(contentsOf: $0) }
      withUnsafeBytes(of: slot.hasCapability) { buffer.append(contentsOf: $0) }
      withUnsafeBytes(of: slot.epoch) { buffer.append(contentsOf: $0) }
      slot.digest.append(to: &buffer)
      if buffer.count > 200_000 { try flush() }
    }

    private func pad(to wanted: Int) {
      guard wanted > position else { return }
      buffer.append(contentsOf: repeatElement(0, count: (wanted - position) * IndexTable.slotSize))
      position = wanted
    }

    func finish(_ magic: [UInt8], epoch: UInt32) throws {
      pad(to: Int(range))
      try flush()
      var header = magic
      for value: UInt64 in [range, UInt64(position), UInt64(epoch)] {
        withUnsafeBytes(of: value) { header.append(contentsOf: $0) }
      }
      try header.withUnsafeBytes { try file.write($0, at: 0) }
    }

    private func flush() throws {
      try file.write(buffer)
      buffer.removeAll(keepingCapacity: true)
    }
  }
}
