public import Core
internal import Linux

extension Store {
  /// The directory of the container `id`: `record.jsonl`, `upper`, `work`, logs and what its maker adds.
  public func containerPath(_ id: String) -> String { paths.container(id) }

  /// A new ID: 64 random hexadecimal digits.
  public static func makeContainerID() -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: Machine.random(32).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Puts the container on disk, all or nothing, with empty `upper` and `work` directories; returns its directory.
  /// Throws if the name is taken.
  @discardableResult
  public func createContainer(_ record: ContainerRecord) throws -> String {
    try checkName(record.name)
    // A directory of its own below `tmp` becomes the container's: one less to make and to remove.
    let folder = try Workspace(paths)
    let temporary = folder.path
    try HostPath.makeDirectories("\(temporary)/upper")
    try HostPath.makeDirectories("\(temporary)/work")
    // Nobody sees the directory before it is renamed.
    try OpenFile("\(temporary)/record.jsonl", .create, permissions: 0o600)
      .write(ContainerFile.lines(document(record), record.state))
    try withContainerLock {
      try claim(record.name, for: record.id)
      try folder.move(to: paths.container(record.id))
    }
    return paths.container(record.id)
  }

  /// All containers, newest first. One whose process was killed unnoticed is told as exited with 255; one whose
  /// files are damaged is left out: `check` tells of it.
  public func containers() throws -> [ContainerRecord] {
    try containerIDs().compactMap { id in try Store.unlessDamaged { try container(id: id) } }.sorted {
      ($1.created, $1.id) < ($0.created, $0.id)
    }
  }

  /// Finds the container that `text` names: its name, ID, or the beginning of the ID. Throws `no such container: text`
  /// with the nearest name, or that several begin so.
  public func container(_ text: String) throws -> ContainerRecord {
    if let id = try owner(of: text.hasPrefix("/") ? String(text.dropFirst()) : text) { return try container(id: id) }
    let ids = try containerIDs()
    let found = text.isEmpty ? [] : ids.filter { $0.hasPrefix(text) }
    guard let first = found.first else {
      let names = (try? containers().map(\.name)) ?? []
      throw Failure("", "no such container: \(text)" + didYouMean(text, in: names.sorted()), kind: .notFound)
    }
    guard found.count == 1 else {
      throw Failure(
        "find container \"\(text)\"",
        "\(found.count) container IDs begin so: "
          + found.prefix(4).map { $0.prefix(12) }.joined(separator: ", ") + (found.count > 4 ? ", ..." : ""))
    }
    return try container(id: first)
  }

  /// Whether a container has the name.
  public func isNameTaken(_ name: String) throws -> Bool { try owner(of: name) != nil }

  /// Says what the container's state is from now on. Not synced: what is lost with the power was not running after it.
  public func setState(_ id: String, _ state: ContainerState) throws {
    try containerFile(id).append(state: state)
  }

  /// Replaces the container's own document.
  public func setConfig(_ id: String, _ config: JSON) throws {
    var record = try container(id: id)
    record.config = config
    try containerFile(id).append(container: document(record), durable: false)
  }

  /// Gives the container another name; throws if that is taken.
  public func renameContainer(_ id: String, to name: String) throws {
    try checkName(name)
    try withContainerLock {
      var record = try container(id: id)
      try claim(name, for: id)
      let old = record.name
      record.name = name
      try containerFile(id).append(container: document(record), durable: true)
      try HostPath.removeFile("\(paths.containerNames)/\(old)")
    }
  }

  /// Removes the container and everything in its directory. Whether it may is the caller's to know; `name` spares a
  /// caller who knows it too a look into the record.
  public func removeContainer(_ id: String, name: String? = nil) throws {
    // It may have been renamed since its caller knew it.
    let name = try name.flatMap { try linked($0) == id ? $0 : nil } ?? (try? container(id: id).name)
    let temporary = "\(paths.temporary)/\(Machine.processID)-\(id.prefix(12))"
    do {
      // What is below `tmp` without a holder, anyone removes.
      let holder = try FileLock.acquire(existing: paths.container(id), .exclusive)
      defer { holder.release() }
      try withContainerLock {
        try HostPath.rename(paths.container(id), to: temporary)
        if let name, try linked(name) == id { try HostPath.removeFile("\(paths.containerNames)/\(name)") }
      }
      try HostPath.removeTree(temporary)
    } catch let error as SystemError where error.code == .noEntry {
      throw noSuchContainer(id)
    }
  }

  /// The container with the whole ID `id`.
  func container(id: String) throws -> ContainerRecord {
    guard let bytes = try readIfThere(containerFile(id).path) else {
      throw noSuchContainer(id)
    }
    let (container, state) = ContainerFile.read(bytes)
    guard let json = container, let name = json["name"]?.string,
      let created = json["created"]?.string.flatMap({ Timestamp(rfc3339: $0) })
    else { throw Failure("read container \(id.prefix(12))", "its record is damaged") }
    var record = ContainerRecord(
      id: id, name: name, created: created, image: try json["image"]?.string.map { try Digest($0) },
      imageName: json["imageName"]?.string ?? "", config: json["config"] ?? .null,
      state: state ?? .exited(code: 255, started: nil, finished: created, error: "its state was lost"))
    if case .running(let process, let started) = record.state, !process.isAlive {
      record.state = .exited(
        code: 255, started: started, finished: started, error: "the process that ran it was killed")
    }
    return record
  }

  /// The image that the container needs, as far as its record can still tell.
  func containerImage(_ id: String) throws -> Digest? {
    guard let bytes = try readIfThere(containerFile(id).path) else { return nil }
    return try Store.unlessDamaged { try ContainerFile.read(bytes).container?["image"]?.string.map { try Digest($0) } }
      ?? nil
  }

  func containerFile(_ id: String) -> ContainerFile {
    ContainerFile(path: "\(paths.container(id))/record.jsonl")
  }

  private func noSuchContainer(_ id: String) -> Failure {
    Failure("", "no such container: \(id.prefix(12))", kind: .notFound)
  }

  func containerIDs() throws -> [String] {
    try Directory(paths.containers).entries()
      .filter { name in name.count == 64 && name.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) } }
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private func document(_ record: ContainerRecord) -> JSON {
    JSON.members([
      "id": .string(record.id), "name": .string(record.name), "created": .string(record.created.rfc3339),
      "image": record.image.map { .string($0.text) }, "imageName": .string(record.imageName), "config": record.config,
    ])
  }

  /// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
  private func checkName(_ name: String) throws {
    func isAlphanumeric(_ byte: UInt8) -> Bool { (byte >= 48 && byte <= 57) || (byte | 32 >= 97 && byte | 32 <= 122) }
    guard let first = name.utf8.first, isAlphanumeric(first), name.utf8.count >= 2, name.utf8.count <= 200,
      name.utf8.allSatisfy({ isAlphanumeric($0) || $0 == 95 || $0 == 46 || $0 == 45 })
    else {
      throw Failure(
        "use container name \"\(name)\"", "only [a-zA-Z0-9][a-zA-Z0-9_.-]+ is allowed", exitCode: 125)
    }
  }

  private func withContainerLock(_ body: () throws -> Void) throws {
    let lock = try FileLock.acquire(paths.containerLock, .exclusive)
    defer { lock.release() }
    try body()
  }

  /// Makes the name a symbolic link to the ID; under the lock. A link to a container that is gone is no claim.
  private func claim(_ name: String, for id: String) throws {
    let link = "\(paths.containerNames)/\(name)"
    let target = ContainerLink.target(id)
    if try HostPath.makeSymlink(link, target: target) { return }
    if let owner = try owner(of: name), owner != id {
      throw Failure(
        "use container name \"\(name)\"", "it is in use by container \(owner.prefix(12))",
        hint: "remove or rename that container first", exitCode: 125)
    }
    try HostPath.removeFile(link)
    guard try HostPath.makeSymlink(link, target: target) else {
      throw Failure("use container name \"\(name)\"", "it was taken meanwhile", exitCode: 125)
    }
  }

  private func owner(of name: String) throws -> String? {
    guard let id = try linked(name), try HostPath.status(paths.container(id)) != nil else { return nil }
    return id
  }

  /// The ID that the name's link holds, whether the container exists or not.
  private func linked(_ name: String) throws -> String? {
    guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(47), !name.utf8.contains(0) else { return nil }
    return try HostPath.readLink("\(paths.containerNames)/\(name)").flatMap(ContainerLink.id)
  }
}
