public import Core
internal import Linux

extension Store {
  /// The record of the step `key` if its result can be used: all its layers are in the store. Nil if there is none.
  /// It counts as used now: while a lease is held, neither it nor its layers are collected.
  ///
  /// This is the hot path of a cached build: one small file read and a look at each layer, no database.
  /// `preimage` is `.null`; see `preimage(ofStep:)`.
  public func step(forKey key: Digest) throws -> StepRecord? {
    try sharing {
      guard let record = try stepRecord(key), try hasLayers(of: record), try markUsed(paths.step(key)) else {
        return nil
      }
      return record
    }
  }

  /// Whether all layers of the record's result are in the store.
  func hasLayers(of record: StepRecord) throws -> Bool {
    if let diffID = record.resultDiffID, try layer(diffID) == nil { return false }
    for layer in record.stack where layer.diffID != record.resultDiffID {
      if try self.layer(layer.diffID) == nil { return false }
    }
    return true
  }

  /// The record of the step `key`, whether its result still exists or not; a damaged one counts as none.
  public func stepRecord(_ key: Digest) throws -> StepRecord? {
    guard let bytes = try readIfThere(paths.step(key), read: { try $0.readLine() }),
      let json = try? JSON.parse(bytes), var record = try? StepRecord(json: json), record.key == key
    else { return nil }
    if try HostPath.status(paths.log(key)) != nil { record.logPath = paths.log(key) }
    return record
  }

  /// What the key of the step was made from, or nil if there is no record.
  public func preimage(ofStep key: Digest) throws -> JSON? {
    guard let bytes = try readIfThere(paths.step(key)), let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
      return nil
    }
    return try? JSON.parse(Array(bytes[(end + 1)...]))
  }

  /// Keeps `record`, whose `definitionKey` then leads to it. Its log, if it has one, is moved from `logPath`.
  public func putStep(_ record: StepRecord) throws {
    // Without output this time there may be a log of another time.
    if let log = record.logPath { try keepLog(from: log, key: record.key) } else { try removeLog(record.key) }
    // The pre-image may be long. What every build reads is the line before it.
    let bytes = record.json.bytes + [UInt8(ascii: "\n")] + record.preimage.bytes
    try replace(paths.step(record.key), with: bytes, durable: false)
    if record.definitionKey != record.key { try putAlias(record.definitionKey, to: record.key) }
  }

  private func removeLog(_ key: Digest) throws { try HostPath.removeFile(paths.log(key)) }

  /// Moves the log at `path`, on the store's file system, to its place beside the record of `key`, which a failed
  /// step never gets; returns where it is now.
  @discardableResult
  public func keepLog(from path: String, key: Digest) throws -> String {
    let kept = paths.log(key)
    if path != kept { try HostPath.rename(path, to: kept) }
    return kept
  }

  /// The content key that the definition key led to last, or nil.
  public func alias(_ definitionKey: Digest) throws -> Digest? {
    try readIfThere(paths.alias(definitionKey)).flatMap { try? Digest(String(decoding: $0, as: UTF8.self)) }
  }

  /// Makes the definition key lead to the content key `key`.
  public func putAlias(_ definitionKey: Digest, to key: Digest) throws {
    // To read is a tenth of what it costs to replace.
    if try alias(definitionKey) == key { return }
    try replace(paths.alias(definitionKey), with: Array(key.text.utf8), durable: false)
  }

  /// All records, oldest first, without pre-images.
  public func steps() throws -> [StepRecord] {
    let suffix = ".json"
    return try Directory(paths.steps).entries()
      .map { String(decoding: $0, as: UTF8.self) }
      .filter { $0.hasSuffix(suffix) && $0.utf8.count == 64 + suffix.utf8.count }
      .compactMap { name in
        guard let key = try? Digest("sha256:" + name.dropLast(suffix.count)) else { return nil }
        return try stepRecord(key)
      }
      .sorted { ($0.started, $0.key) < ($1.started, $1.key) }
  }

  /// Forgets the step; its layer stays until it is collected.
  public func removeStep(_ key: Digest) throws {
    let definitionKey = try stepRecord(key)?.definitionKey
    try removeStep(key, definitionKey)
  }

  /// As `removeStep`, where the record has been read already.
  func removeStep(_ key: Digest, _ definitionKey: Digest?) throws {
    // The record last: a removal that is killed can be done again.
    if let definitionKey, try alias(definitionKey) == key { try HostPath.removeFile(paths.alias(definitionKey)) }
    try HostPath.removeFile(paths.log(key))
    try HostPath.removeFile(paths.step(key))
  }

  /// All bytes of one of the store's small files, or what `read` takes of it; nil if it is not there.
  func readIfThere(
    _ path: String, read: (OpenFile) throws -> [UInt8] = { try $0.readAll(limit: 256 << 20) }
  ) throws -> [UInt8]? {
    do {
      return try read(OpenFile(path))
    } catch let error as SystemError where error.code == .noEntry {
      return nil
    }
  }
}
